import { setTimeout as sleep } from 'node:timers/promises';
import { create, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import type { Metadata } from '@grpc/grpc-js';
import { messageOf } from '@heimdex/common';
import { GetServerInfoRequestSchema, InferenceService } from '@heimdex/gen';
import { nowMs } from '../clock.js';
import { errorOf } from '../convert-error.js';
import { createError, InferenceClientError, invalidOption } from '../errors.js';
import { MESSAGE_TOO_LARGE, MIN_MAX_MESSAGE_BYTES, tooLargeMessage } from '../message-limit.js';
import {
  type CallOptions,
  checkTimes,
  type InferenceClientOptions,
  isTimeout,
  type MethodName,
  retryOptions,
  timeLimitMs,
} from '../options.js';
import { isRetryable, RetryBudget, type RetryOptions, retryDelayMs } from '../retry.js';
import { before, TimeUpError } from '../wait.js';
import { type CallScope, OpenCalls } from './call-scope.js';
import { codecOf, serializeOnce, type TypedMethod } from './codec.js';
import { metadataOf, openPool } from './connect.js';
import type { Endpoint, WireOptions } from './endpoint.js';
import { firstConnected } from './first-connected.js';
import type { EndpointPool } from './pool.js';

const CONNECT_TIMEOUT_MS = 5_000;
/** Reasons of a server that is going or gone. Its calls move to another one outside of the budget: they are no sign of an overload. */
const NOT_TAKEN: ReadonlySet<string> = new Set(['DRAINING', 'UNREACHABLE']);

/** Parameters of one attempt. */
export interface Attempt extends WireOptions {
  readonly endpoint: Endpoint;
}

/** A call to execute. */
export interface CallPlan {
  readonly name: MethodName;
  readonly call: CallOptions;
  /** By nowMs, for all attempts together. */
  readonly deadlineMs: number;
  /** Maximum milliseconds without a connection, over all attempts. Default: until the deadline. */
  readonly connectMs?: number;
  /** Whether a failed call can be retried. Default: it can. */
  readonly mayRetry?: () => boolean;
}

/** Executes calls: picks a server, applies the deadline, retries, and converts errors. */
export class Caller {
  readonly #options: InferenceClientOptions;
  readonly #retry: RetryOptions;
  readonly #pool: EndpointPool;
  readonly #budget: RetryBudget;
  readonly #open = new OpenCalls();
  /** The server's message limit; undefined before it was asked. */
  #maxMessageBytes: number | undefined;

  constructor(options: InferenceClientOptions) {
    checkTimes(options);
    this.#options = options;
    this.#retry = retryOptions(options.retry);
    this.#budget = new RetryBudget(this.#retry.maxAttempts);
    this.#pool = openPool(options);
  }

  get endpoints(): readonly Endpoint[] {
    return this.#pool.endpoints;
  }

  /**
   * Returns the timeout of a call.
   * Throws InferenceClientError INVALID_ARGUMENT for a timeout that is not a number: gRPC would crash the process.
   */
  timeoutMs(name: MethodName, call: CallOptions): number {
    const limitMs = timeLimitMs(name, this.#options, call);
    if (isTimeout(limitMs)) return limitMs;
    throw invalidOption('timeoutMs', `must be a number of milliseconds, got ${String(limitMs)}`, name);
  }

  /** Executes a unary call with retries. Rejects only with InferenceClientError. */
  async unary<Input extends DescMessage, Output extends DescMessage>(
    name: MethodName,
    method: TypedMethod<Input, Output>,
    message: MessageShape<Input>,
    call: CallOptions,
  ): Promise<MessageShape<Output>> {
    const codec = codecOf(method);
    const plan = { name, call, deadlineMs: nowMs() + this.timeoutMs(name, call) };
    const scope = this.#open.open(call.signal);
    try {
      const serialized = serializeOnce(codec, message);
      await this.#checkSize(serialized.bytes, plan, scope);
      return await this.attempts(plan, scope, ({ endpoint, ...wire }) =>
        endpoint.unary(serialized.codec, message, wire),
      );
    } finally {
      this.#open.end(scope);
    }
  }

  /** Runs a streaming call that close() and the caller's signal can end. */
  async *streamInScope<T>(
    signal: AbortSignal | undefined,
    run: (scope: CallScope) => AsyncGenerator<T, void, void>,
  ): AsyncGenerator<T, void, void> {
    const scope = this.#open.open(signal);
    try {
      yield* run(scope);
    } finally {
      this.#open.end(scope);
    }
  }

  /**
   * Runs `run` on one server after another until it succeeds, the error is final, or the time or the retry budget runs
   * out. An untried server is called immediately, the same server only after its back-off.
   * Throws InferenceClientError.
   */
  async attempts<T>(plan: CallPlan, scope: CallScope, run: (attempt: Attempt) => Promise<T>): Promise<T> {
    const tried = new Set<Endpoint>();
    const context = { method: plan.name, address: '', attempts: 0, failed: undefined as string | undefined };
    const connectDeadlineMs = () => Math.min(plan.deadlineMs, nowMs() + (plan.connectMs ?? Number.POSITIVE_INFINITY));
    const firstMs = connectDeadlineMs();
    let lastMs = firstMs;
    let refusals = 0; // By a full queue for whose room the call waits: no attempts.
    for (;;) {
      try {
        const readyMs = Math.min(lastMs, nowMs() + (this.#options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS));
        const chosen = await this.#pick(tried, readyMs, scope.signal);
        context.address = chosen.address;
        context.attempts += 1;
        const others = () => this.#untried(tried).filter((other) => other !== chosen);
        const endpoint = await firstConnected(chosen, others, readyMs, scope.signal);
        context.address = endpoint.address;
        const metadata = await this.#metadata(plan.call, readyMs, scope.signal);
        const { connected } = endpoint;
        const answer = await run({ endpoint, metadata, deadlineMs: plan.deadlineMs, signal: scope.signal }).finally(
          () => {
            if (connected) lastMs = connectDeadlineMs();
          },
        );
        this.#budget.recordSuccess();
        return answer;
      } catch (thrown) {
        if (scope.signal.aborted) throw scope.error(plan.name);
        const error = errorOf(thrown, context);
        const waits = this.#waits(error, plan.call);
        if (waits) refusals += 1;
        const failures = context.attempts - refusals;
        const delayMs = plan.mayRetry?.() === false ? undefined : this.#delayMs(error, failures, tried, waits);
        if (delayMs === undefined || nowMs() + delayMs >= (waits ? firstMs : lastMs)) {
          throw await this.#explained(error, plan.deadlineMs, scope, plan.name);
        }
        context.failed = error.message;
        await sleep(delayMs, undefined, { signal: scope.signal }).catch(() => {
          throw scope.error(plan.name);
        });
      }
    }
  }

  /** Fails every open call and closes every connection. Idempotent. */
  close(): void {
    this.#open.close();
    this.#pool.close();
  }

  /**
   * Rejects a request that exceeds the server's message limit before it is sent: the server would reject it only after
   * receiving all of it, or drop the connection. The limit is asked for once, by the first request of more than 1 MiB, and
   * again before a request is rejected: the server may have been restarted with a higher one. If the server does not report
   * its limit, the request is sent.
   */
  async #checkSize(bytes: number, plan: CallPlan, scope: CallScope): Promise<void> {
    if (bytes <= (this.#maxMessageBytes ?? MIN_MAX_MESSAGE_BYTES)) return;
    const maxBytes = await this.#askMaxMessageBytes(plan, scope);
    if (bytes <= maxBytes) return;
    throw createError('RESOURCE_EXHAUSTED', tooLargeMessage(plan.name, bytes, maxBytes), {
      reason: MESSAGE_TOO_LARGE,
      method: plan.name,
    });
  }

  /** Returns the server's limit; Infinity if it does not report one. */
  async #askMaxMessageBytes(plan: CallPlan, scope: CallScope): Promise<number> {
    const codec = codecOf(InferenceService.method.getServerInfo);
    const request = create(GetServerInfoRequestSchema);
    const infoPlan = { ...plan, name: 'GetServerInfo' } as const;
    const info = await this.attempts(infoPlan, scope, ({ endpoint, ...wire }) =>
      endpoint.unary(codec, request, wire),
    ).catch((error: unknown) => {
      if (!(error instanceof InferenceClientError) || error.reason !== 'UNREACHABLE') return undefined;
      throw errorOf(error, { method: plan.name, address: error.address ?? '', attempts: error.attempts });
    });
    if (scope.signal.aborted) throw scope.error(plan.name);
    const maxBytes = Number(info?.limits?.maxMessageBytes ?? 0n) || Number.POSITIVE_INFINITY;
    if (info !== undefined) this.#maxMessageBytes = maxBytes;
    return maxBytes;
  }

  async #explained(error: InferenceClientError, deadlineMs: number, scope: CallScope, name: MethodName) {
    const endpoint = this.#pool.endpoints.find(({ address }) => address === error.address);
    const explained = (await endpoint?.explain(error, deadlineMs)) ?? error;
    return scope.signal.aborted ? scope.error(name) : explained;
  }

  async #pick(tried: ReadonlySet<Endpoint>, readyMs: number, signal: AbortSignal): Promise<Endpoint> {
    try {
      return await before(this.#pool.pick(tried), readyMs, signal);
    } catch (error) {
      if (!(error instanceof TimeUpError)) throw error;
      throw createError('UNAVAILABLE', "the server's name was not resolved in time", {
        reason: 'UNREACHABLE',
        cause: error,
      });
    }
  }

  async #metadata(call: CallOptions, readyMs: number, signal: AbortSignal): Promise<Metadata> {
    try {
      return await before(metadataOf(this.#options, call), readyMs, signal);
    } catch (cause) {
      if (signal.aborted || cause instanceof InferenceClientError) throw cause;
      throw createError('UNAUTHENTICATED', `no token: ${messageOf(cause)}`, { reason: 'NO_TOKEN', cause });
    }
  }

  /** The servers that a call may move to at once. */
  #untried(tried: ReadonlySet<Endpoint>): readonly Endpoint[] {
    return this.#pool.endpoints.filter((endpoint) => !tried.has(endpoint) && endpoint.rank(nowMs()) < 2);
  }

  /** Whether a call waits for room in a full queue, however often it is refused: work that yields to other work does not fail for that. */
  #waits({ reason }: InferenceClientError, { priority = this.#options.priority }: CallOptions): boolean {
    return reason === 'QUEUE_FULL' && priority === 'bulk' && this.#retry.maxAttempts > 1;
  }

  #delayMs(error: InferenceClientError, failures: number, tried: Set<Endpoint>, waits: boolean): number | undefined {
    if (!isRetryable(error)) return undefined;
    const endpoint = this.#pool.endpoints.find(({ address }) => address === error.address);
    if (endpoint !== undefined) {
      tried.add(endpoint);
      if (error.code === 'UNAVAILABLE') this.#pool.recordFailure(endpoint);
    }
    const otherAvailable = this.#untried(tried).length > 0;
    const moves = otherAvailable && NOT_TAKEN.has(error.reason ?? '');
    if (!waits && !moves && !this.#budget.recordFailure()) return undefined;
    const delayMs = retryDelayMs(error, failures, this.#retry, Math.random());
    return delayMs !== undefined && otherAvailable ? 0 : delayMs;
  }
}
