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
const LAST_RETRY_MS = 30_000;
const watchCodec = codecOf(Health.method.watch);

/**
 * Keeps an endpoint's `health` as its own health service tells it (grpc.health.v1 Watch), until stopped. A server without
 * that service counts as serving. A stream that breaks is opened again after a back-off with jitter.
 */
export class HealthWatch {
  readonly #endpoint: Endpoint;
  readonly #metadata: () => Promise<Metadata>;
  #stream: ClientReadableStream<HealthCheckResponse> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #retryMs = FIRST_RETRY_MS;
  #stopped = false;

  /** @param metadata what goes with the call, such as the token; asked for each time the stream is opened */
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
      this.#broken();
      return;
    }
    if (this.#stopped) return;
    const stream = this.#endpoint.serverStream(watchCodec, create(HealthCheckRequestSchema), metadata);
    this.#stream = stream;
    stream.on('data', (answer: HealthCheckResponse) => {
      this.#retryMs = FIRST_RETRY_MS;
      this.#endpoint.health = answer.status === ServingStatus.SERVING ? 'serving' : 'not-serving';
    });
    stream.on('error', () => undefined); // The status tells it.
    stream.on('status', ({ code }: StatusObject) => {
      if (code === status.UNIMPLEMENTED) this.#endpoint.health = 'serving';
      else this.#broken();
    });
  }

  #broken(): void {
    if (this.#stopped || this.#timer !== undefined) return;
    this.#endpoint.health = 'unreachable';
    const waitMs = this.#retryMs * (0.5 + Math.random() / 2);
    this.#retryMs = Math.min(LAST_RETRY_MS, this.#retryMs * 2);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#open();
    }, waitMs).unref();
  }
}
