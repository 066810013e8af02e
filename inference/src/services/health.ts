/** grpc.health.v1.Health, from the server's state. Watch streams end when the server drains. */
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from '@heimdex/gen';
import { InferenceError } from '../errors.js';
import { defineService, type ServedService } from './service.js';
import type { ServerState } from './state.js';

/** Maximum concurrent watchers: each holds memory for an unlimited time. */
const MAX_WATCHERS = 1000;

export function healthService(state: ServerState): ServedService {
  let watchers = 0;
  const statusOf = (name: string): ServingStatus | undefined => {
    const serving = state.statuses().get(name);
    if (serving === undefined) return undefined;
    return serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  };
  return defineService(
    Health,
    {
      check: ({ service }) => {
        const status = statusOf(service);
        if (status !== undefined) return { status };
        const known = [...state.statuses().keys()].map((name) => JSON.stringify(name)).join(', ');
        throw new InferenceError(
          'NOT_FOUND',
          `Unknown service ${JSON.stringify(service.slice(0, 200))}; known services: ${known}.`,
        );
      },
      list: () => ({
        statuses: Object.fromEntries(
          [...state.statuses().keys()].map((name) => [name, { status: statusOf(name) ?? ServingStatus.UNKNOWN }]),
        ),
      }),
      async *watch({ service }, { signal }) {
        if (watchers >= MAX_WATCHERS) {
          const retryAfterMs = 10_000;
          throw new InferenceError('QUEUE_FULL', `The maximum of ${MAX_WATCHERS} health watchers is reached.`, {
            retryAfterMs,
          });
        }
        watchers += 1;
        const changes = new Changes(state, signal);
        try {
          let last: ServingStatus | undefined;
          do {
            const status = statusOf(service) ?? ServingStatus.SERVICE_UNKNOWN;
            if (status !== last) yield { status };
            last = status;
          } while (!state.draining && (await changes.next()));
        } finally {
          changes.close();
          watchers -= 1;
        }
      },
    },
    { skipAccessLog: true },
  );
}

/** Waits for state changes. A change between two waits is not lost. */
class Changes {
  #pending = false;
  #wake: (() => void) | undefined;
  readonly #signal: AbortSignal;
  readonly #off: () => void;

  constructor(state: ServerState, signal: AbortSignal) {
    this.#signal = signal;
    const wake = () => {
      this.#pending = true;
      this.#wake?.();
    };
    const offState = state.onChange(wake);
    signal.addEventListener('abort', wake);
    this.#off = () => {
      offState();
      signal.removeEventListener('abort', wake);
    };
  }

  /** Resolves at the next change; with false when the call is aborted. */
  async next(): Promise<boolean> {
    if (!this.#pending && !this.#signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#pending = false;
    return !this.#signal.aborted;
  }

  close(): void {
    this.#off();
  }
}
