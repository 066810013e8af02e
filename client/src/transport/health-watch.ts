import { create } from '@bufbuild/protobuf';
import { type ClientReadableStream, Metadata, type StatusObject, status } from '@grpc/grpc-js';
import {
  Health,
  HealthCheckRequestSchema,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '@heimdex/gen';
import { codecOf } from './codec.js';
import type { Endpoint } from './endpoint.js';

const FIRST_RETRY_MS = 250;
const MAX_RETRY_MS = 30_000;
const watchCodec = codecOf(Health.method.watch);

/**
 * Updates an endpoint's `health` from its health service (grpc.health.v1 Watch), until stopped. A server without that
 * service counts as serving. A broken stream is reopened after a back-off with jitter.
 */
export class HealthWatch {
  readonly #endpoint: Endpoint;
  readonly #metadata: () => Promise<Metadata>;
  #stream: ClientReadableStream<HealthCheckResponse> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #retryMs = FIRST_RETRY_MS;
  #stopped = false;

  /** @param metadata returns the call's metadata, such as the token; called each time the stream is opened */
  constructor(endpoint: Endpoint, metadata: () => Promise<Metadata> = async () => new Metadata()) {
    this.#endpoint = endpoint;
    this.#metadata = metadata;
    void this.#open();
  }

  /** Idempotent. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#stream?.cancel();
  }

  async #open(): Promise<void> {
    let metadata: Metadata;
    try {
      metadata = await this.#metadata();
    } catch {
      this.#reopenLater();
      return;
    }
    if (this.#stopped) return;
    const stream = this.#endpoint.serverStream(watchCodec, create(HealthCheckRequestSchema), metadata);
    this.#stream = stream;
    stream.on('data', (answer: HealthCheckResponse) => {
      this.#retryMs = FIRST_RETRY_MS;
      this.#endpoint.health = answer.status === ServingStatus.SERVING ? 'serving' : 'not-serving';
    });
    stream.on('error', () => undefined); // Handled by the status event.
    stream.on('status', ({ code }: StatusObject) => {
      if (code === status.UNIMPLEMENTED) this.#endpoint.health = 'serving';
      else this.#reopenLater();
    });
  }

  #reopenLater(): void {
    if (this.#stopped || this.#timer !== undefined) return;
    this.#endpoint.health = 'unreachable';
    const waitMs = this.#retryMs * (0.5 + Math.random() / 2);
    this.#retryMs = Math.min(MAX_RETRY_MS, this.#retryMs * 2);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#open();
    }, waitMs).unref();
  }
}
