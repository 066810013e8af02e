import type { ChannelOptions } from '@grpc/grpc-js';
import type { InferenceService } from '@heimdex/gen';
import { DEFAULT_RETRY, type RetryOptions } from './retry.js';

/** The service's methods and `Health`, as errors and timeouts name them. From the descriptor: a forgotten rpc does not compile. */
export type MethodName = Capitalize<keyof (typeof InferenceService)['method']> | 'Health';

/**
 * How long a call may take, all its attempts together, in milliseconds, unless told otherwise. For TranscribeStream it is
 * how long the server may stay silent while it has audio to work on.
 */
export const DEFAULT_TIMEOUTS_MS = {
  Transcribe: 600_000,
  TranscribeStream: 300_000,
  EmbedImage: 60_000,
  EmbedText: 60_000,
  DetectFaces: 60_000,
  GetServerInfo: 5_000,
  Health: 5_000,
} as const satisfies Record<MethodName, number>;

/** The names of all methods. */
export const METHODS = Object.keys(DEFAULT_TIMEOUTS_MS) as readonly MethodName[];

/** `bulk` work stands back when others wait; `interactive`, the server's default, does not. */
export type Priority = 'interactive' | 'bulk';

/** How the connection is encrypted. Every field is PEM text or its bytes. */
export interface TlsOptions {
  /** Which authorities to trust. Default: those Node.js trusts. */
  readonly ca?: string | Uint8Array;
  /** This side's certificate, where the server asks for one. Needs `key`. */
  readonly cert?: string | Uint8Array;
  /** The private key of `cert`. */
  readonly key?: string | Uint8Array;
  /** The name the server's certificate must bear. Default: the host of the address. */
  readonly serverName?: string;
}

/** Settings of a client. Everything has a default. */
export interface InferenceClientOptions {
  /**
   * The server: `host:port`, `https://host:port`, `dns:///name:port` (every address of the name is a server of its own) or
   * `unix:/path`. Default `localhost:8001`.
   */
  readonly address?: string;
  /** Several servers, used in turn, those that do not serve passed over. Instead of `address`. */
  readonly addresses?: readonly string[];
  /** True, or how: encrypt. Default: only where an address begins with https://. */
  readonly tls?: boolean | TlsOptions;
  /** Sent as `authorization: Bearer ...`. A function is asked before each attempt, so that a token may be renewed. */
  readonly token?: string | (() => string | Promise<string>);
  /** Time limits by method, in milliseconds. Defaults: {@link DEFAULT_TIMEOUTS_MS}. */
  readonly timeoutsMs?: Partial<Record<MethodName, number>>;
  /** How long one server may take to accept a connection, in milliseconds. Default 5,000. */
  readonly connectTimeoutMs?: number;
  /** When failed calls are sent again. */
  readonly retry?: Partial<RetryOptions>;
  /** A connection with calls on it is checked after this long without a sign of life, in milliseconds. Default 20,000. */
  readonly keepaliveTimeMs?: number;
  /** A checked connection that stays silent this long is given up, in milliseconds. Default 10,000. */
  readonly keepaliveTimeoutMs?: number;
  /** Largest answer to accept, in bytes. Default 64 MiB. */
  readonly maxAnswerBytes?: number;
  /** Sent with every call, such as a trace context. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: the server's, `interactive`. */
  readonly priority?: Priority;
  /** Finds the IP addresses of a `dns:///` name. Default: the system's resolver. */
  readonly lookup?: (host: string) => Promise<readonly string[]>;
  /** Further settings of the gRPC channel; they win over this client's own. */
  readonly channelOptions?: ChannelOptions;
}

/** Settings of one call. */
export interface CallOptions {
  /** As `timeoutsMs`, for this call. More than 23 days, or `Infinity`, count as that. */
  readonly timeoutMs?: number;
  /** Gives the call up: it fails with CANCELLED, reason ABORTED. */
  readonly signal?: AbortSignal;
  /** Sent with this call, besides the client's own. */
  readonly headers?: Readonly<Record<string, string>>;
  /** As the client's, for this call. */
  readonly priority?: Priority;
}

/** 23 days. A timer of Node.js holds 31 bits of milliseconds, and so does the server's of gRPC, which rounds up. */
const LONGEST_TIME_MS = 2_000_000_000;

/** Whether a value is a time; `Infinity` is one. */
export function isTime(value: unknown): value is number {
  return typeof value === 'number' && !Number.isNaN(value);
}

/** The time limit of a call, cut to what timers hold. May not be a time: see isTime. */
export function timeLimitMs(name: MethodName, client: InferenceClientOptions, call: CallOptions): number {
  const given = call.timeoutMs ?? client.timeoutsMs?.[name] ?? DEFAULT_TIMEOUTS_MS[name];
  return isTime(given) ? Math.min(given, LONGEST_TIME_MS) : given;
}

/** @throws TypeError for a time that is no number */
export function checkTimes({ timeoutsMs, connectTimeoutMs }: InferenceClientOptions): void {
  const limits = Object.entries(timeoutsMs ?? {}).map(([name, value]) => [`timeoutsMs.${name}`, value] as const);
  for (const [name, value] of [...limits, ['connectTimeoutMs', connectTimeoutMs] as const]) {
    if (value !== undefined && !isTime(value)) {
      throw new TypeError(`Expected ${name} to be a number of milliseconds, got ${String(value)}`);
    }
  }
}

/** The settings of retries with the defaults filled in. */
export function retryOptions(given: Partial<RetryOptions> = {}): RetryOptions {
  return { ...DEFAULT_RETRY, ...given };
}

/** The channel's settings. */
export function channelOptions(given: InferenceClientOptions): ChannelOptions {
  return {
    'grpc.keepalive_time_ms': given.keepaliveTimeMs ?? 20_000,
    'grpc.keepalive_timeout_ms': given.keepaliveTimeoutMs ?? 10_000,
    'grpc.max_receive_message_length': given.maxAnswerBytes ?? 64 * 1024 * 1024,
    'grpc.max_send_message_length': -1, // The server's limit counts; it says so in its error.
    'grpc.initial_reconnect_backoff_ms': 200,
    'grpc.max_reconnect_backoff_ms': 5_000,
    'grpc.use_local_subchannel_pool': 1, // close() ends this client's connections and nobody else's.
    'grpc.enable_http_proxy': 0, // An inference server is near; a proxy for the web is not on the way.
    'grpc.service_config_disable_resolution': 1,
    ...given.channelOptions,
  };
}
