import {
  type ChannelCredentials,
  type ChannelOptions,
  type ClientDuplexStream,
  type ClientReadableStream,
  connectivityState,
  Client as GrpcClient,
  type Metadata,
} from '@grpc/grpc-js';
import { epochMs, nowMs } from '../clock.js';
import { createError, type InferenceClientError } from '../errors.js';
import { abortable, cancelSoon, onAbort } from '../wait.js';
import type { MethodCodec } from './codec.js';
import { withTlsProblem } from './tls-problem.js';
import { WatchedCredentials } from './watched-credentials.js';

/**
 * Health of a server: `serving` and `not-serving` as reported by its health service, `unreachable` when that fails,
 * `unknown` before the first report and without a health watch.
 */
export type EndpointHealth = 'unknown' | 'serving' | 'not-serving' | 'unreachable';

/** Metadata, deadline and signal of a call. */
export interface WireOptions {
  readonly metadata: Metadata;
  /** By nowMs; Infinity: no deadline. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

/** How long a server is skipped after a failed call, if others are available. */
const COOL_DOWN_MS = 1_000;

/** One server and its connection, which is opened on the first call and reopened as needed. */
export class Endpoint {
  health: EndpointHealth = 'unknown';
  readonly #client: GrpcClient;
  readonly #credentials: WatchedCredentials;
  readonly #hasCertificate: boolean;
  #coolUntilMs = 0;

  constructor(
    /** `host:port` or `unix:/path`. */
    readonly address: string,
    credentials: ChannelCredentials,
    options: ChannelOptions,
    /** Whether the client has a certificate of its own. */
    hasCertificate = false,
  ) {
    this.#credentials = new WatchedCredentials(credentials);
    this.#client = new GrpcClient(address, this.#credentials, options);
    this.#hasCertificate = hasCertificate;
  }

  /** Returns the preference: 0 healthy, 1 unknown, 2 last resort. */
  rank(atMs: number): 0 | 1 | 2 {
    if (atMs < this.#coolUntilMs || this.health === 'not-serving' || this.health === 'unreachable') return 2;
    return this.health === 'serving' ? 0 : 1;
  }

  /** Records a failure that may not occur on other servers. */
  recordFailure(atMs: number): void {
    this.#coolUntilMs = atMs + COOL_DOWN_MS;
  }

  /**
   * Waits for a connection, until `deadlineMs` (by nowMs). Returns at once if there is one, or if the
   * last attempt has just failed: the following call then reports why.
   * Throws InferenceClientError UNAVAILABLE, reason UNREACHABLE, at the deadline.
   */
  async connect(deadlineMs: number, signal: AbortSignal): Promise<void> {
    const timeoutMs = Math.max(0, deadlineMs - nowMs());
    const channel = this.#client.getChannel();
    for (;;) {
      signal.throwIfAborted();
      const state = channel.getConnectivityState(true);
      if (state === connectivityState.READY || state === connectivityState.TRANSIENT_FAILURE) return;
      if (state === connectivityState.SHUTDOWN) throw unreachable(this.address, 'the connection was closed');
      const changed = new Promise<boolean>((resolve) => {
        channel.watchConnectivityState(state, epochMs(deadlineMs), (error) => resolve(error === undefined));
      });
      if (!(await abortable(changed, signal))) {
        throw unreachable(this.address, `no connection within ${(timeoutMs / 1000).toFixed(1)} s`);
      }
    }
  }

  /**
   * The client of a new call. gRPC's own error of a closed one has no status. Throws InferenceClientError UNAVAILABLE, reason UNREACHABLE,
   * if the server's address has left its DNS name since the call chose it, as while a token function ran.
   */
  get #openClient(): GrpcClient {
    const closed = this.#client.getChannel().getConnectivityState(false) === connectivityState.SHUTDOWN;
    if (closed) throw unreachable(this.address, 'the connection was closed');
    return this.#client;
  }

  /** True while connected. */
  get connected(): boolean {
    return this.#client.getChannel().getConnectivityState(false) === connectivityState.READY;
  }

  /** Makes a unary call. Rejects with gRPC's ServiceError. */
  unary<Input, Output>(codec: MethodCodec<Input, Output>, message: Input, options: WireOptions): Promise<Output> {
    return new Promise((resolve, reject) => {
      const call = this.#openClient.makeUnaryRequest(
        codec.path,
        codec.serialize,
        codec.deserialize,
        message,
        options.metadata,
        { deadline: epochMs(options.deadlineMs) },
        (error, answer) => {
          options.signal.removeEventListener('abort', cancel);
          if (error !== null) reject(error);
          else if (answer === undefined) reject(new Error(`${codec.name} ended without a response`));
          else resolve(answer);
        },
      );
      const cancel = () => cancelSoon(call);
      onAbort(options.signal, cancel);
    });
  }

  /** Opens a server stream. The reader must end or cancel it. */
  serverStream<Input, Output>(
    codec: MethodCodec<Input, Output>,
    message: Input,
    metadata: Metadata,
  ): ClientReadableStream<Output> {
    return this.#openClient.makeServerStreamRequest(codec.path, codec.serialize, codec.deserialize, message, metadata);
  }

  /** Opens a bidirectional stream. The caller must end or cancel it. */
  duplex<Input, Output>(
    codec: MethodCodec<Input, Output>,
    metadata: Metadata,
    deadlineMs: number,
  ): ClientDuplexStream<Input, Output> {
    return this.#openClient.makeBidiStreamRequest(codec.path, codec.serialize, codec.deserialize, metadata, {
      deadline: epochMs(deadlineMs),
    });
  }

  /** Returns the error of a failed call, with the TLS problem that caused it, if one did. */
  explain(error: InferenceClientError, deadlineMs: number): Promise<InferenceClientError> {
    const server = {
      address: this.address,
      secure: this.#credentials._isSecure(),
      hasCertificate: this.#hasCertificate,
      progress: this.#credentials.progress,
    };
    return withTlsProblem(error, server, deadlineMs);
  }

  /** Rejects new calls; open calls finish. Ends connections on which the server has said nothing yet. Idempotent. */
  close(): void {
    this.#client.close();
    this.#credentials.close();
  }
}

function unreachable(address: string, why: string): InferenceClientError {
  return createError('UNAVAILABLE', `${address} cannot be reached: ${why}`, {
    reason: 'UNREACHABLE',
    address,
  });
}
