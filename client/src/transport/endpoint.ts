import {
  type ChannelCredentials,
  type ChannelOptions,
  type ClientDuplexStream,
  type ClientReadableStream,
  connectivityState,
  Client as GrpcClient,
  type Metadata,
} from '@grpc/grpc-js';
import { InferenceClientError } from '../errors.js';
import { abortable } from '../wait.js';
import type { MethodCodec } from './codec.js';

/**
 * What is known of a server: `serving` and `not-serving` as its own health service says, `unreachable` when that cannot
 * be asked, `unknown` before the first answer and where nobody watches.
 */
export type EndpointHealth = 'unknown' | 'serving' | 'not-serving' | 'unreachable';

/** What goes with a call besides its message. */
export interface WireOptions {
  readonly metadata: Metadata;
  /** When to give up, in milliseconds since the epoch; Infinity: never. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

/** How long a server that failed a call is passed over while others are there. */
const COOL_DOWN_MS = 1_000;

/** One server and the connection to it. The connection is made at the first call and made again as needed. */
export class Endpoint {
  health: EndpointHealth = 'unknown';
  readonly #client: GrpcClient;
  #coolUntilMs = 0;

  constructor(
    /** `host:port` or `unix:/path`. */
    readonly address: string,
    credentials: ChannelCredentials,
    options: ChannelOptions,
  ) {
    this.#client = new GrpcClient(address, credentials, options);
  }

  /** 0: send here; 1: not known yet; 2: only when there is nobody else. */
  rank(nowMs: number): 0 | 1 | 2 {
    if (nowMs < this.#coolUntilMs || this.health === 'not-serving' || this.health === 'unreachable') return 2;
    return this.health === 'serving' ? 0 : 1;
  }

  /** Notes that a call failed here for a reason that may not hold elsewhere. */
  failed(nowMs: number): void {
    this.#coolUntilMs = nowMs + COOL_DOWN_MS;
  }

  /**
   * Waits until there is a connection, until `deadlineMs` at the latest (milliseconds since the epoch). Returns at once when there is one, and when the last attempt
   * has just failed: the call that follows then says why.
   *
   * @throws InferenceClientError UNAVAILABLE, reason UNREACHABLE, when the time is up
   */
  async connect(deadlineMs: number, signal: AbortSignal): Promise<void> {
    const timeoutMs = Math.max(0, deadlineMs - Date.now());
    const channel = this.#client.getChannel();
    for (;;) {
      signal.throwIfAborted();
      const state = channel.getConnectivityState(true);
      if (state === connectivityState.READY || state === connectivityState.TRANSIENT_FAILURE) return;
      if (state === connectivityState.SHUTDOWN) throw unreachable(this.address, 'the connection was closed');
      const changed = new Promise<boolean>((resolve) => {
        channel.watchConnectivityState(state, deadlineMs, (error) => resolve(error === undefined));
      });
      if (!(await abortable(changed, signal))) {
        throw unreachable(this.address, `no connection within ${(timeoutMs / 1000).toFixed(1)} s`);
      }
    }
  }

  /** True while a connection stands. */
  get connected(): boolean {
    return this.#client.getChannel().getConnectivityState(false) === connectivityState.READY;
  }

  /** One message out, one in. Rejects with gRPC's ServiceError. */
  unary<Input, Output>(codec: MethodCodec<Input, Output>, message: Input, options: WireOptions): Promise<Output> {
    return new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        codec.path,
        codec.serialize,
        codec.deserialize,
        message,
        options.metadata,
        { deadline: options.deadlineMs },
        (error, answer) => {
          options.signal.removeEventListener('abort', cancel);
          if (error !== null) reject(error);
          else if (answer === undefined) reject(new Error(`${codec.name} ended without an answer`));
          else resolve(answer);
        },
      );
      const cancel = () => call.cancel();
      options.signal.addEventListener('abort', cancel, { once: true });
    });
  }

  /** One message out, many in. Whoever reads it ends or cancels it. */
  serverStream<Input, Output>(
    codec: MethodCodec<Input, Output>,
    message: Input,
    metadata: Metadata,
  ): ClientReadableStream<Output> {
    return this.#client.makeServerStreamRequest(codec.path, codec.serialize, codec.deserialize, message, metadata);
  }

  /** Many messages out, many in. Whoever opens it ends or cancels it. */
  duplex<Input, Output>(
    codec: MethodCodec<Input, Output>,
    metadata: Metadata,
    deadlineMs: number,
  ): ClientDuplexStream<Input, Output> {
    return this.#client.makeBidiStreamRequest(codec.path, codec.serialize, codec.deserialize, metadata, {
      deadline: deadlineMs,
    });
  }

  /** No new calls; those on the way finish. Idempotent. */
  close(): void {
    this.#client.close();
  }
}

function unreachable(address: string, why: string): InferenceClientError {
  return new InferenceClientError('UNAVAILABLE', `${address} cannot be reached: ${why}`, {
    reason: 'UNREACHABLE',
    address,
  });
}
