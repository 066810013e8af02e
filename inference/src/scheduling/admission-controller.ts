/**
 * Admission control for one model: compares the admitted, unfinished work with the limits. Has no queue and no clock.
 *
 * Only interactive work counts against an interactive call: bulk work, which it overtakes (fair-queue.ts), does not take its room. Against a
 * bulk call all work counts.
 */
import { formatCount } from '@heimdex/common';
import { InferenceError } from '../errors.js';
import type { Priority } from '../priority.js';
import { Rate } from './rate.js';

export interface AdmissionLimits {
  /** Maximum number of admitted, unfinished items that count against a call. */
  readonly maxItems: number;
  /** Maximum time that the admitted work may need, estimated from the measured rate. */
  readonly maxWaitMs: number;
}

export interface PermitRequest {
  readonly items: number;
  /** Sum of the items' costs. Undefined, for one item at a time: not known yet; the usual cost counts until `charge` sets it. */
  readonly cost: number | undefined;
  readonly priority: Priority;
}

/** Admitted, unfinished work. */
interface Work {
  items: number;
  cost: number;
}

/** The capacity that a call holds. */
export interface Permit {
  /**
   * The call enqueues an item of this cost. Returns a function to call once, when the item is done. Of a call whose cost was known at
   * admission, it is then no longer held. A call of unknown cost holds the sum of its queued items' costs; while it has none queued, the
   * cost of the last one.
   */
  charge(cost: number): () => void;
  /** Releases the capacity. Idempotent. */
  release(): void;
}

const MIN_RETRY_MS = 100;
const MAX_RETRY_MS = 30_000;
/** RetryInfo delay before the first measurement. */
const UNKNOWN_RETRY_MS = 1000;
/**
 * Maximum part of `maxWaitMs` reserved for the run itself, in which other items may come first. The reserve is the measured
 * mean run time, if that is shorter. Without it, admitted work would finish later than the limit.
 */
const RUN_RESERVE = 0.1;
/** Growth of the minimum cost per call: small items may have stopped arriving. */
const MIN_COST_GROWTH = 1.02;
/** Weight of the newest item in the usual cost. */
const NEWEST_WEIGHT = 0.2;

export class AdmissionController {
  readonly #name: string;
  readonly #limits: AdmissionLimits;
  readonly #rate = new Rate();
  readonly #admitted: Readonly<Record<Priority, Work>> = {
    interactive: { items: 0, cost: 0 },
    bulk: { items: 0, cost: 0 },
  };
  #usualCost: number | undefined;
  /** Approximate minimum cost per item of recent calls. */
  #minCost: number | undefined;

  /** `name` is the model's name in messages. */
  constructor(name: string, limits: AdmissionLimits) {
    this.#name = name;
    this.#limits = limits;
  }

  /** Records a run with a total cost of `cost` that took one worker `ms`. */
  recordRun(cost: number, ms: number): void {
    this.#rate.record(cost, ms);
  }

  /** Estimated time of a run of `cost` on one worker; undefined before the first run. */
  runMs(cost: number): number | undefined {
    return this.#rate.estimateMs(cost, 1);
  }

  /**
   * Returns a permit, or throws QUEUE_FULL with a retry delay. While no work that counts is admitted, any call is: one larger than
   * the limits could never run otherwise.
   */
  acquire(request: PermitRequest, workers: number): Permit {
    if (request.cost !== undefined) this.#recordItemCost(request.cost / request.items);
    let held = request.cost ?? this.#usualCost ?? 0;
    const refusal = this.#refusalOf(request, held, workers);
    if (refusal !== undefined) throw refusal;
    const admitted = this.#admitted[request.priority];
    const isKnown = request.cost !== undefined;
    let { items } = request;
    admitted.items += items;
    admitted.cost += held;
    let open = true;
    let queued = 0;
    let queuedCost = 0;
    const hold = (cost: number) => {
      admitted.cost += cost - held;
      held = cost;
    };
    return {
      charge: (cost) => {
        queued += 1;
        queuedCost += cost;
        if (!isKnown && open) {
          this.#usualCost = this.#usualCost === undefined ? cost : movingAverage(cost, this.#usualCost);
          hold(queuedCost);
        }
        return () => {
          queued -= 1;
          queuedCost -= cost;
          if (!open) return;
          if (!isKnown) return hold(queued === 0 ? cost : queuedCost);
          items -= 1;
          admitted.items -= 1;
          hold(Math.max(0, held - cost));
        };
      },
      release: () => {
        if (!open) return;
        open = false;
        admitted.items -= items;
        admitted.cost = admitted.items === 0 ? 0 : admitted.cost - held;
      },
    };
  }

  /** Returns why even a call with one small item would be refused now, or undefined. Used before the request is known. */
  refusal(priority: Priority, workers: number): InferenceError | undefined {
    return this.#refusalOf({ items: 1, priority }, this.#minCost ?? this.#usualCost ?? 0, workers);
  }

  /** The admitted work that counts against a call of this priority. */
  #countedFor(priority: Priority): Readonly<Work> {
    const { interactive, bulk } = this.#admitted;
    if (priority === 'interactive') return interactive;
    return { items: interactive.items + bulk.items, cost: interactive.cost + bulk.cost };
  }

  #recordItemCost(cost: number): void {
    this.#minCost = Math.min(cost, (this.#minCost ?? cost) * MIN_COST_GROWTH);
  }

  #refusalOf(
    { items, priority }: Pick<PermitRequest, 'items' | 'priority'>,
    cost: number,
    workers: number,
  ): InferenceError | undefined {
    const counted = this.#countedFor(priority);
    if (counted.items === 0) return undefined;
    const { maxItems, maxWaitMs } = this.#limits;
    const runMs = Math.min(this.#rate.runMs, maxWaitMs * RUN_RESERVE);
    const waitMs = (this.#rate.estimateMs(counted.cost + cost, workers) ?? 0) + runMs;
    const excessItems = counted.items + items - maxItems;
    if (excessItems <= 0 && waitMs <= maxWaitMs) return undefined;
    // Until enough of the counted work is done; when all of it is, any call is admitted.
    const doneMs = this.#rate.estimateMs(counted.cost, workers);
    const freeMs =
      doneMs === undefined
        ? UNKNOWN_RETRY_MS
        : Math.min(doneMs, Math.max(waitMs - maxWaitMs, (doneMs * excessItems) / counted.items));
    const retryAfterMs = Math.min(MAX_RETRY_MS, Math.max(MIN_RETRY_MS, Math.ceil(freeMs)));
    const full = priority === 'bulk' ? 'full for bulk calls' : 'full';
    const neverFits = items > maxItems || (this.#rate.estimateMs(cost, workers) ?? 0) + runMs > maxWaitMs;
    const advice = neverFits
      ? 'This call fits only while no other is admitted: divide it into smaller ones.'
      : 'Retry later.';
    const message = `The queue of the ${this.#name} model is ${full}: ${formatCount(counted.items, 'item')}, about ${Math.ceil(waitMs)} ms. ${advice}`;
    return withoutStack(() => new InferenceError('QUEUE_FULL', message, { retryAfterMs }));
  }
}

/** Creates an error without a stack: under overload many are thrown per second, and the stack has no useful information. */
function withoutStack<T>(create: () => T): T {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return create();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function movingAverage(newest: number, previous: number): number {
  return newest * NEWEST_WEIGHT + previous * (1 - NEWEST_WEIGHT);
}
