import { create } from '@bufbuild/protobuf';
import {
  Health,
  HealthCheckRequestSchema,
  HealthListRequestSchema,
  InferenceService,
  HealthCheckResponse_ServingStatus as Serving,
} from '@heimdex/gen';
import { nowMs } from './clock.js';
import { errorOf } from './convert-error.js';
import { createError } from './errors.js';
import type { CallOptions } from './options.js';
import type { Caller } from './transport/caller.js';
import { codecOf } from './transport/codec.js';
import { cancelSoon, onAbort } from './wait.js';

/** Health of a server or of one of its methods. `SERVICE_UNKNOWN`: the server does not have it. */
export type ServingStatus = 'UNKNOWN' | 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';

const STATUSES = {
  [Serving.UNKNOWN]: 'UNKNOWN',
  [Serving.SERVING]: 'SERVING',
  [Serving.NOT_SERVING]: 'NOT_SERVING',
  [Serving.SERVICE_UNKNOWN]: 'SERVICE_UNKNOWN',
} as const satisfies Record<Serving, ServingStatus>;

/** A status that a later server may send is unknown here. */
function statusOf(status: number): ServingStatus {
  return STATUSES[status as Serving] ?? 'UNKNOWN';
}

/**
 * Returns the full service name for the health service. `EmbedImage` and `InferenceService/EmbedImage` become
 * `heimdex.inference.v1.InferenceService/EmbedImage`, `InferenceService` its full name. Any other name is returned
 * unchanged.
 */
function healthServiceName(given: string): string {
  const { typeName, name: service, methods } = InferenceService;
  const short = given.startsWith(`${service}/`) ? given.slice(service.length + 1) : given;
  if (methods.some(({ name }) => name === short)) return `${typeName}/${short}`;
  return given === service ? typeName : given;
}

/** Calls Check. */
export async function checkHealth(caller: Caller, service: string, options: CallOptions): Promise<ServingStatus> {
  const request = create(HealthCheckRequestSchema, { service: healthServiceName(service) });
  const answer = await caller.unary('Health', Health.method.check, request, options);
  return statusOf(answer.status);
}

/** Calls List. */
export async function listHealth(
  caller: Caller,
  options: CallOptions,
): Promise<Readonly<Record<string, ServingStatus>>> {
  const answer = await caller.unary('Health', Health.method.list, create(HealthListRequestSchema), options);
  return Object.fromEntries(Object.entries(answer.statuses).map(([name, { status }]) => [name, statusOf(status)]));
}

const watchCodec = codecOf(Health.method.watch);

/** Calls Watch on one server. Yields the current status, then each change, until the caller stops. */
export async function* watchHealth(
  caller: Caller,
  service: string,
  options: CallOptions,
): AsyncGenerator<ServingStatus, void, void> {
  yield* caller.streamInScope(options.signal, async function* (scope) {
    const context = { method: 'Health', address: '', attempts: 1 };
    const plan = {
      name: 'Health',
      call: options,
      deadlineMs: nowMs() + caller.timeoutMs('Health', options),
    } as const;
    const stream = await caller.attempts(plan, scope, async ({ endpoint, metadata }) => {
      context.address = endpoint.address;
      return endpoint.serverStream(
        watchCodec,
        create(HealthCheckRequestSchema, { service: healthServiceName(service) }),
        metadata,
      );
    });
    const cancel = () => cancelSoon(stream);
    let timedOut = false;
    // The deadline applies to the first status only; later ones arrive when something changes.
    const timer = setTimeout(() => {
      timedOut = true;
      cancel();
    }, plan.deadlineMs - nowMs());
    stream.on('error', () => undefined); // The loop reports it; after the loop it is irrelevant.
    onAbort(scope.signal, cancel);
    try {
      for await (const { status } of stream) {
        clearTimeout(timer);
        yield statusOf(status);
      }
    } catch (thrown) {
      if (scope.signal.aborted) throw scope.error('Health');
      if (timedOut)
        throw createError('DEADLINE_EXCEEDED', `Health got no response from ${context.address} in time`, {
          ...context,
          reason: 'TIMEOUT',
        });
      throw errorOf(thrown, context);
    } finally {
      clearTimeout(timer);
      scope.signal.removeEventListener('abort', cancel);
      cancel();
    }
  });
}
