/** grpc.health.v1.Health, from the server's state. Watch streams end when the server drains. */
import { on } from 'node:events';
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from '@heimdex/gen';
import { InferenceError } from '../errors.js';
import { defineService, type ServedService } from './service.js';
import type { ServerState } from './state.js';

/** Maximum concurrent watchers: each holds memory for an unlimited time. One host may have half of them, as of the connections. */
const MAX_WATCHERS = 1000;
const MAX_WATCHERS_OF_HOST = MAX_WATCHERS / 2;

export function healthService(state: ServerState): ServedService {
  let watchers = 0;
  const watchersOf = new Map<string, number>();
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
      async *watch({ service }, { signal, host }) {
        const ofHost = watchersOf.get(host) ?? 0;
        if (watchers >= MAX_WATCHERS || ofHost >= MAX_WATCHERS_OF_HOST) {
          const maximum = `${MAX_WATCHERS} health watchers, of one address ${MAX_WATCHERS_OF_HOST},`;
          throw new InferenceError('QUEUE_FULL', `The maximum of ${maximum} is reached.`, { retryAfterMs: 10_000 });
        }
        watchers += 1;
        watchersOf.set(host, ofHost + 1);
        // Keeps the changes that come while a status is being sent.
        const changes = on(state.changes, 'change');
        const end = () => void changes.return?.();
        signal.addEventListener('abort', end);
        try {
          let last: ServingStatus | undefined;
          do {
            const status = statusOf(service) ?? ServingStatus.SERVICE_UNKNOWN;
            if (status !== last) yield { status };
            last = status;
          } while (!state.draining && !signal.aborted && (await changes.next()).done !== true);
        } finally {
          signal.removeEventListener('abort', end);
          end();
          watchers -= 1;
          const left = (watchersOf.get(host) ?? 1) - 1;
          if (left === 0) watchersOf.delete(host);
          else watchersOf.set(host, left);
        }
      },
    },
    { skipAccessLog: true },
  );
}
