import { setTimeout as sleep } from 'node:timers/promises';
import { create, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import type { Metadata } from '@grpc/grpc-js';
import { GetServerInfoRequestSchema, InferenceService } from '@heimdex/gen';
import { type CallContext, errorOf, InferenceClientError } from '../errors.js';
import { DEFAULT_MAX_MESSAGE_BYTES, MESSAGE_TOO_LARGE, tooLargeText } from '../message-limit.js';
import {
  type CallOptions,
  checkTimes,
  type InferenceClientOptions,
  isTime,
  type MethodName,
  retryOptions,
  timeLimitMs,
} from '../options.js';
import { isRetryable, RetryBudget, type RetryOptions, retryDelayMs } from '../retry.js';
import { before, TimeUpError } from '../wait.js';
import { type CallScope, OpenCalls } from './call-scope.js';
import { codecOf, type TypedMethod, writtenOnce } from './codec.js';
import { metadataOf, openPool } from './connect.js';
import type { Endpoint, WireOptions } from './endpoint.js';
import type { EndpointPool } from './pool.js';

const CONNECT_TIMEOUT_MS = 5_000;

/** What one attempt is told. */
export interface Attempt extends WireOptions {
  readonly endpoint: Endpoint;
}

/** What is to be carried out. */
export interface CallPlan {
  readonly name: MethodName;
  readonly call: CallOptions;
  /** Milliseconds since the epoch, for all attempts together. */
  readonly deadlineMs: number;
  /** Most milliseconds without a connection, all attempts together; the deadline holds as well. Absent: only the deadline. */
  readonly connectMs?: number;
  /** Asked after a failure: false where the call cannot be sent again. Absent: it can. */
  readonly mayRepeat?: () => boolean;
}

/** How a call is carried out: whose turn it is, its deadline, its attempts, its error. */
export class Caller {
  readonly #options: InferenceClientOptions;
  readonly #retry: RetryOptions;
  readonly #pool: EndpointPool;
  readonly #budget = new RetryBudget();
  readonly #open = new OpenCalls();

  constructor(options: InferenceClientOptions) {
    checkTimes(options);
    this.#options = options;
    this.#retry = retryOptions(options.retry);
    this.#pool = openPool(options);
  }

  get endpoints(): readonly Endpoint[] {
    return this.#pool.endpoints;
  }

  /**
   * The time limit of a call.
   *
   * @throws InferenceClientError INVALID_ARGUMENT for a limit that is no number: gRPC would end the process over it
   */
  timeoutMs(name: MethodName, call: CallOptions): number {
    const limitMs = timeLimitMs(name, this.#options, call);
    if (isTime(limitMs)) return limitMs;
    const description = `must be a number of milliseconds, got ${String(limitMs)}`;
    throw new InferenceClientError('INVALID_ARGUMENT', `timeoutMs ${description}`, {
      violations: [{ field: 'timeoutMs', description }],
      method: name,
    });
  }

  /** One message out, one in, sent again as the retry options say. Rejects with InferenceClientError alone. */
  async unary<Input extends DescMessage, Output extends DescMessage>(
    name: MethodName,
    method: TypedMethod<Input, Output>,
    message: MessageShape<Input>,
    call: CallOptions,
  ): Promise<MessageShape<Output>> {
    const codec = codecOf(method);
    const plan = { name, call, deadlineMs: Date.now() + this.timeoutMs(name, call) };
    const scope = this.#open.open(call.signal);
    try {
      const written = writtenOnce(codec, message);
      await this.#checkSize(written.bytes, plan, scope);
      return await this.attempts(plan, scope, ({ endpoint, ...wire }) => endpoint.unary(written.codec, message, wire));
    } finally {
      this.#open.end(scope);
    }
  }

  /** Runs a call of many answers; close() and the caller's signal can end it. */
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
   * Carries `run` out on one server after the other until it succeeds, the error is final, or there is no time or budget
   * left. A server that has not been tried yet is asked at once; the same one only after its back-off.
   *
   * @throws InferenceClientError
   */
  async attempts<T>(plan: CallPlan, scope: CallScope, run: (attempt: Attempt) => Promise<T>): Promise<T> {
    const tried = new Set<Endpoint>();
    const context = { method: plan.name, address: '', attempts: 0 };
    const unconnectedUntil = () => Math.min(plan.deadlineMs, Date.now() + (plan.connectMs ?? Number.POSITIVE_INFINITY));
    let lastMs = unconnectedUntil();
    for (;;) {
      try {
        const readyMs = Math.min(lastMs, Date.now() + (this.#options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS));
        const endpoint = await this.#pick(tried, readyMs, scope.signal);
        context.address = endpoint.address;
        context.attempts += 1;
        await endpoint.connect(readyMs, scope.signal);
        const metadata = await this.#metadata(plan.call, readyMs, scope.signal);
        const { connected } = endpoint;
        const answer = await run({ endpoint, metadata, deadlineMs: plan.deadlineMs, signal: scope.signal }).finally(
          () => {
            if (connected) lastMs = unconnectedUntil();
          },
        );
        this.#budget.succeeded();
        return answer;
      } catch (thrown) {
        if (scope.signal.aborted) throw scope.error(plan.name);
        const error = errorOf(thrown, context);
        const delayMs = plan.mayRepeat?.() === false ? undefined : this.#delayMs(error, context, tried);
        if (delayMs === undefined || Date.now() + delayMs >= lastMs) throw error;
        await sleep(delayMs, undefined, { signal: scope.signal }).catch(() => {
          throw scope.error(plan.name);
        });
      }
    }
  }

  /** Ends every call and connection. Idempotent. */
  close(): void {
    this.#open.close();
    this.#pool.close();
  }

  /**
   * A request beyond the default limit is not sent where the server takes no more than that: it would refuse it after all of
   * it has arrived, or break the connection. Where the server does not say, it is sent.
   */
  async #checkSize(bytes: number, plan: CallPlan, scope: CallScope): Promise<void> {
    if (bytes <= DEFAULT_MAX_MESSAGE_BYTES) return;
    const codec = codecOf(InferenceService.method.getServerInfo);
    const request = create(GetServerInfoRequestSchema);
    const ask = { ...plan, name: 'GetServerInfo' } as const;
    const info = await this.attempts(ask, scope, ({ endpoint, ...wire }) => endpoint.unary(codec, request, wire)).catch(
      () => undefined,
    );
    if (scope.signal.aborted) throw scope.error(plan.name);
    const maxBytes = Number(info?.limits?.maxMessageBytes ?? 0n);
    if (maxBytes === 0 || bytes <= maxBytes) return;
    throw new InferenceClientError('RESOURCE_EXHAUSTED', tooLargeText(plan.name, bytes, maxBytes), {
      reason: MESSAGE_TOO_LARGE,
      method: plan.name,
    });
  }

  async #pick(tried: ReadonlySet<Endpoint>, readyMs: number, signal: AbortSignal): Promise<Endpoint> {
    try {
      return await before(this.#pool.pick(tried), readyMs, signal);
    } catch (error) {
      if (!(error instanceof TimeUpError)) throw error;
      throw new InferenceClientError('UNAVAILABLE', 'the name of the server was not resolved in time', {
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
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new InferenceClientError('UNAUTHENTICATED', `no token: ${why}`, { reason: 'NO_TOKEN', cause });
    }
  }

  #delayMs(error: InferenceClientError, context: CallContext, tried: Set<Endpoint>): number | undefined {
    if (!isRetryable(error)) return undefined;
    const endpoint = this.#pool.endpoints.find(({ address }) => address === context.address);
    if (endpoint !== undefined) {
      tried.add(endpoint);
      if (error.code === 'UNAVAILABLE') this.#pool.failed(endpoint);
    }
    if (!this.#budget.failed()) return undefined;
    const delayMs = retryDelayMs(error, context.attempts, this.#retry, Math.random());
    const elsewhere = this.#pool.endpoints.some((each) => !tried.has(each) && each.rank(Date.now()) < 2);
    return delayMs !== undefined && elsewhere ? 0 : delayMs;
  }
}
