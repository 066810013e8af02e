import type { ChannelOptions } from '@grpc/grpc-js';
import type { InferenceService } from '@heimdex/gen';
import { DEFAULT_RETRY, type RetryOptions } from './retry.js';

/** The service's methods and `Health`, as errors and timeouts name them. From the descriptor: a missing rpc does not compile. */
export type MethodName = Capitalize<keyof (typeof InferenceService)['method']> | 'Health';

/**
 * Default timeouts of a call, over all its attempts, in milliseconds. For TranscribeStream it is the idle timeout: how
 * long the server may send nothing while it has audio to process.
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

/** `bulk` work yields to `interactive` work, the server's default, and waits for room in a full queue until its timeout. */
export type Priority = 'interactive' | 'bulk';

/** TLS settings. Every certificate and key is PEM, as text or bytes. */
export interface TlsOptions {
  /** Trusted certificate authorities. Default: those of Node.js. */
  readonly ca?: string | Uint8Array;
  /** Client certificate, for servers that require one. Needs `key`. */
  readonly cert?: string | Uint8Array;
  /** Private key of `cert`. */
  readonly key?: string | Uint8Array;
  /** Expected name in the server's certificate. Default: the host of the address. */
  readonly serverName?: string;
}

/** Options of a client. All are optional. */
export interface InferenceClientOptions {
  /**
   * The server: `host:port`, `https://host:port`, `dns:///name:port` (every address of the name is a separate
   * server) or `unix:/path`. Default `localhost:8001`.
   */
  readonly address?: string;
  /** Several servers, used round robin; unhealthy ones are skipped. Excludes `address`. */
  readonly addresses?: readonly string[];
  /** Enables TLS, optionally with settings. Default: only for https:// addresses. */
  readonly tls?: boolean | TlsOptions;
  /** Sent as `authorization: Bearer ...`. A function is called before each attempt, to allow renewal. */
  readonly token?: string | (() => string | Promise<string>);
  /** Timeouts per method, in milliseconds. Defaults: {@link DEFAULT_TIMEOUTS_MS}. */
  readonly timeoutsMs?: Partial<Record<MethodName, number>>;
  /** Timeout for connecting to one server, in milliseconds. Default 5,000. */
  readonly connectTimeoutMs?: number;
  /** Retry settings. Defaults: {@link DEFAULT_RETRY}. */
  readonly retry?: Partial<RetryOptions>;
  /** Idle time before a keepalive ping on a connection with open calls, in milliseconds. Default 20,000. */
  readonly keepaliveTimeMs?: number;
  /** Timeout of a keepalive ping; the connection is then closed, in milliseconds. Default 10,000. */
  readonly keepaliveTimeoutMs?: number;
  /** Maximum response size, in bytes. Default 64 MiB. */
  readonly maxAnswerBytes?: number;
  /** Sent with every call, such as a trace context. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Priority of every call. Default: the server's, `interactive`. */
  readonly priority?: Priority;
  /** Resolves the IP addresses of a `dns:///` name. Default: the system's resolver. */
  readonly lookup?: (host: string) => Promise<readonly string[]>;
  /** Additional gRPC channel options; they override this client's. */
  readonly channelOptions?: ChannelOptions;
}

/** Options of one call. */
export interface CallOptions {
  /** Timeout of this call, as in `timeoutsMs`. Capped at 23 days, `Infinity` included. */
  readonly timeoutMs?: number;
  /** Cancels the call, which fails with CANCELLED, reason ABORTED. */
  readonly signal?: AbortSignal;
  /** Headers of this call, in addition to the client's. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Priority of this call. */
  readonly priority?: Priority;
}

/** 23 days. Timers of Node.js hold 31 bits of milliseconds, on the gRPC server as well, which rounds up. */
const MAX_TIMEOUT_MS = 2_000_000_000;

/** Whether a value can be used as a timeout; `Infinity` can. */
export function isTimeout(value: unknown): value is number {
  return typeof value === 'number' && !Number.isNaN(value);
}

/** Returns the timeout of a call, capped to what timers hold. It may be invalid: see isTimeout. */
export function timeLimitMs(name: MethodName, client: InferenceClientOptions, call: CallOptions): number {
  const given = call.timeoutMs ?? client.timeoutsMs?.[name] ?? DEFAULT_TIMEOUTS_MS[name];
  return isTimeout(given) ? Math.min(given, MAX_TIMEOUT_MS) : given;
}

/** Throws TypeError for a timeout of no method, and for a time that is not a number: a timer would fire after 1 ms. */
export function checkTimes(options: InferenceClientOptions): void {
  const { timeoutsMs, connectTimeoutMs, keepaliveTimeMs, keepaliveTimeoutMs } = options;
  const unknown = Object.keys(timeoutsMs ?? {}).find((name) => !Object.hasOwn(DEFAULT_TIMEOUTS_MS, name));
  if (unknown !== undefined) throw new TypeError(`Expected timeoutsMs of ${METHODS.join(', ')}, got ${unknown}`);
  const limits = Object.entries(timeoutsMs ?? {}).map(([name, value]) => [`timeoutsMs.${name}`, value] as const);
  const times = Object.entries({ connectTimeoutMs, keepaliveTimeMs, keepaliveTimeoutMs });
  for (const [name, value] of [...limits, ...times]) {
    if (value !== undefined && !isTimeout(value)) {
      throw new TypeError(`Expected ${name} to be a number of milliseconds, got ${String(value)}`);
    }
  }
}

/** Returns the retry options with the defaults filled in. Throws TypeError for a value that is not a number. */
export function retryOptions(given: Partial<RetryOptions> = {}): RetryOptions {
  const numberOf = (name: keyof RetryOptions): number => {
    const value = given[name] ?? DEFAULT_RETRY[name];
    if (isTimeout(value)) return value;
    throw new TypeError(`Expected retry.${name} to be a number, got ${String(value)}`);
  };
  return {
    maxAttempts: numberOf('maxAttempts'),
    initialDelayMs: numberOf('initialDelayMs'),
    maxDelayMs: numberOf('maxDelayMs'),
  };
}

/** Returns the gRPC channel options. */
export function channelOptions(given: InferenceClientOptions): ChannelOptions {
  return {
    'grpc.keepalive_time_ms': Math.min(given.keepaliveTimeMs ?? 20_000, MAX_TIMEOUT_MS),
    'grpc.keepalive_timeout_ms': Math.min(given.keepaliveTimeoutMs ?? 10_000, MAX_TIMEOUT_MS),
    'grpc.max_receive_message_length': given.maxAnswerBytes ?? 64 * 1024 * 1024,
    'grpc.max_send_message_length': -1, // The server enforces its own limit and reports it.
    'grpc.initial_reconnect_backoff_ms': 200,
    'grpc.max_reconnect_backoff_ms': 5_000,
    'grpc.use_local_subchannel_pool': 1, // close() must end only this client's connections.
    'grpc.enable_http_proxy': 0, // An inference server is local; a web proxy would not reach it.
    'grpc.service_config_disable_resolution': 1,
    ...given.channelOptions,
  };
}
