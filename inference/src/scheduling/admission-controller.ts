/** How much work a lane takes on: what was admitted and is not done, held against the bounds. No queue in here, no clock. */
import { InferenceError } from '../errors.js';
import { Rate } from './rate.js';

export interface AdmissionLimits {
  /** Most items admitted and not done. */
  readonly maxItems: number;
  /** Longest time that what is admitted may take, by the measured rate. */
  readonly maxWaitMs: number;
}

export interface PermitRequest {
  readonly items: number;
  /** Sum of the items' costs. Undefined, for one item: not known yet; it counts as the usual one until `charge` says it. */
  readonly cost: number | undefined;
}

/** What a call holds of the room. */
export interface Permit {
  /**
   * Says what an item costs that the call puts into the queue now, where its cost was not known when it was admitted; what is
   * returned says that the item is done, idempotent. The call holds what its items in the queue cost together, and between
   * them what the last one did.
   */
  charge(cost: number): () => void;
  /** Gives the place back. Idempotent. */
  release(): void;
}

const MIN_RETRY_MS = 100;
const MAX_RETRY_MS = 30_000;
/** What RetryInfo says while nothing was measured. */
const UNKNOWN_RETRY_MS = 1000;
/**
 * An item is done with its run, in which others may come before it: so much of the bound is kept for that, a run by the measured
 * rate at most, or what is taken in would be done that much later than the bound.
 */
const KEPT_FOR_THE_RUN = 0.1;
/** How much what is taken for the least cost grows with each call, for the small ones may have stopped coming. */
const MIN_GROWTH = 1.02;
/** Weight of the newest item in what an item usually costs. */
const NEWEST_WEIGHT = 0.2;

export class AdmissionController {
  readonly #name: string;
  readonly #limits: AdmissionLimits;
  readonly #rate = new Rate();
  #items = 0;
  #cost = 0;
  #usualCost: number | undefined;
  /** About the least that an item of a call has cost lately. */
  #minCost: number | undefined;

  /** `name` names the model in messages. */
  constructor(name: string, limits: AdmissionLimits) {
    this.#name = name;
    this.#limits = limits;
  }

  /** Items admitted and not done. */
  get items(): number {
    return this.#items;
  }

  /** Notes a run of items that cost `cost` together and took `ms` of one worker. */
  recordRun(cost: number, ms: number): void {
    this.#rate.note(cost, ms);
  }

  /** How long a run of `cost` takes one worker; undefined before the first run. */
  runMs(cost: number): number | undefined {
    return this.#rate.estimateMs(cost, 1);
  }

  /**
   * A place, or QUEUE_FULL with the time to come back. An empty room takes any call: one that is larger than the bound
   * could never run otherwise.
   */
  acquire(request: PermitRequest, workers: number): Permit {
    if (request.cost !== undefined) this.#recordItemCost(request.cost / request.items);
    let held = request.cost ?? this.#usualCost ?? 0;
    this.#check(request.items, held, workers);
    this.#items += request.items;
    this.#cost += held;
    let open = true;
    const queued = new Set<{ readonly cost: number }>();
    const hold = (cost: number) => {
      if (!open) return;
      this.#cost += cost - held;
      held = cost;
    };
    return {
      charge: (cost) => {
        if (request.cost !== undefined) return () => {};
        this.#usualCost = this.#usualCost === undefined ? cost : mix(cost, this.#usualCost);
        const item = { cost };
        queued.add(item);
        hold(sumOf(queued));
        return () => {
          if (queued.delete(item)) hold(queued.size === 0 ? cost : sumOf(queued));
        };
      },
      release: () => {
        if (!open) return;
        open = false;
        this.#items -= request.items;
        this.#cost = this.#items === 0 ? 0 : this.#cost - held;
      },
    };
  }

  /** Why not even a call of one small item would be taken now, or undefined: what it asks for is not known yet. */
  refusal(workers: number): InferenceError | undefined {
    return this.#items === 0 ? undefined : this.#refusalOf(1, this.#minCost ?? this.#usualCost ?? 0, workers);
  }

  #recordItemCost(cost: number): void {
    this.#minCost = Math.min(cost, (this.#minCost ?? cost) * MIN_GROWTH);
  }

  #check(items: number, cost: number, workers: number): void {
    const refusal = this.#items === 0 ? undefined : this.#refusalOf(items, cost, workers);
    if (refusal !== undefined) throw refusal;
  }

  #refusalOf(items: number, cost: number, workers: number): InferenceError | undefined {
    const { maxItems, maxWaitMs } = this.#limits;
    const runMs = Math.min(this.#rate.runMs, maxWaitMs * KEPT_FOR_THE_RUN);
    const waitMs = (this.#rate.estimateMs(this.#cost + cost, workers) ?? 0) + runMs;
    const tooMany = this.#items + items > maxItems;
    if (!tooMany && waitMs <= maxWaitMs) return undefined;
    const freeMs = tooMany ? (this.#rate.estimateMs(cost, workers) ?? UNKNOWN_RETRY_MS) : waitMs - maxWaitMs;
    const retryAfterMs = Math.min(MAX_RETRY_MS, Math.max(MIN_RETRY_MS, Math.ceil(freeMs)));
    const message = `Too much work waits for the ${this.#name} model: ${this.#items} items, about ${Math.ceil(waitMs)} ms. Come back later.`;
    return withoutStack(() => new InferenceError('QUEUE_FULL', message, { retryAfterMs }));
  }
}

/** Of what is made many times a second when there is no time to lose, the stack says nothing. */
function withoutStack<T>(make: () => T): T {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return make();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function sumOf(items: Iterable<{ readonly cost: number }>): number {
  let sum = 0;
  for (const { cost } of items) sum += cost;
  return sum;
}

function mix(newest: number, before: number): number {
  return newest * NEWEST_WEIGHT + before * (1 - NEWEST_WEIGHT);
}
