/**
 * The queue of one model: which items run next. A pure data structure without timers, promises or a clock.
 *
 * The order is start-time fair queueing (Goyal, Vin, Cheng, 1996) on two levels. The classes `interactive` and `bulk` share
 * the model by weight, so bulk work is slower under load but never starves. Within a class, every call is a separate flow:
 * a call with 200 items and a call with one item take turns by cost, so the short call does not wait for the long one.
 */

import { PRIORITIES, type Priority, WEIGHTS } from '../priority.js';

/** The items of one call. A call creates one flow and passes it with each item. */
export class Flow {
  /** Virtual finish time of the flow's items so far; maintained by the queue. */
  finish = 0;

  constructor(readonly priority: Priority) {}
}

export interface Entry<Item> {
  readonly item: Item;
  readonly flow: Flow;
  /** In the model family's unit; above 0. */
  readonly cost: number;
  /** Only entries of one kind share a batch. */
  readonly kind: string;
  /** Milliseconds on the caller's clock; Infinity: none. */
  readonly deadlineAtMs: number;
  /** Must run alone: it may have killed a worker. */
  readonly alone: boolean;
}

/** Limits of a batch. */
export interface BatchLimits {
  readonly maxItems: number;
  /** Maximum cost of the padded run: the number of items times the largest cost. The first item always fits. */
  readonly maxCost: number;
  /** Maximum fraction of a padded run that is padding, 0 to 1. */
  readonly maxPadding: number;
}

export interface TakeResult<Item> {
  readonly batch: readonly Entry<Item>[];
  /** Entries past their deadline: removed from the queue, must not run. */
  readonly expired: readonly Entry<Item>[];
}

interface Waiting<Item> {
  readonly entry: Entry<Item>;
  /** Virtual start time. */
  readonly start: number;
}

/** The queue of one class, sorted by virtual start; equal starts keep their order of arrival. */
class ClassQueue<Item> {
  waiting: Waiting<Item>[] = [];
  /** Virtual time of this class relative to the other. */
  served = 0;
  /** Virtual time among the flows of this class: at least the start of the last entry taken. */
  now = 0;
}

export class FairQueue<Item> {
  readonly #classes: Readonly<Record<Priority, ClassQueue<Item>>> = {
    interactive: new ClassQueue(),
    bulk: new ClassQueue(),
  };
  /** Virtual time between the classes: the start of the last batch taken. */
  #now = 0;

  /** Number of waiting entries. */
  get size(): number {
    return this.sizeOf('interactive') + this.sizeOf('bulk');
  }

  /** Number of waiting entries of a class. */
  sizeOf(priority: Priority): number {
    return this.#classes[priority].waiting.length;
  }

  /** Sum of the waiting entries' costs. */
  get cost(): number {
    const waiting = PRIORITIES.flatMap((priority) => this.#classes[priority].waiting);
    return waiting.reduce((sum, { entry }) => sum + entry.cost, 0);
  }

  /** Adds an entry after the others of its flow. */
  push(entry: Entry<Item>): void {
    const own = this.#classes[entry.flow.priority];
    if (own.waiting.length === 0) this.#wake(own);
    const start = Math.max(own.now, entry.flow.finish);
    entry.flow.finish = start + entry.cost;
    insert(own.waiting, { entry, start });
  }

  /** Puts an entry whose run failed at the front of its class. */
  pushFront(entry: Entry<Item>): void {
    const own = this.#classes[entry.flow.priority];
    if (own.waiting.length === 0) this.#wake(own);
    own.waiting.unshift({ entry, start: Math.min(own.now, own.waiting[0]?.start ?? own.now) });
  }

  /** Removes an abandoned entry. Returns false if it is not in the queue. */
  remove(entry: Entry<Item>): boolean {
    const { waiting } = this.#classes[entry.flow.priority];
    const index = waiting.findIndex((candidate) => candidate.entry === entry);
    if (index < 0) return false;
    waiting.splice(index, 1);
    return true;
  }

  /** Removes and returns the next batch; empty only if no unexpired entry waits. */
  take(limits: BatchLimits, nowMs: number): TakeResult<Item> {
    const expired = this.#takeExpired(nowMs);
    const own = this.#nextClass();
    const head = own?.waiting.shift();
    if (own === undefined || head === undefined) return { batch: [], expired };
    own.now = Math.max(own.now, head.start);
    const batch = [head.entry, ...this.#fillBatch(own, head.entry, limits)];
    this.#serve(own, batch);
    return { batch, expired };
  }

  /** Removes and returns a batch of interactive entries that pass the test, in fair order; empty if none does. */
  takeInteractive(test: (entry: Entry<Item>) => boolean, limits: BatchLimits): readonly Entry<Item>[] {
    const own = this.#classes.interactive;
    const index = own.waiting.findIndex(({ entry }) => test(entry));
    const [head] = index < 0 ? [] : own.waiting.splice(index, 1);
    if (head === undefined) return [];
    const batch = [head.entry, ...this.#fillBatch(own, head.entry, limits, test)];
    this.#serve(own, batch);
    return batch;
  }

  /** Removes and returns all entries, in no particular order. */
  drain(): readonly Entry<Item>[] {
    const all = PRIORITIES.flatMap((priority) => this.#classes[priority].waiting.splice(0));
    return all.map(({ entry }) => entry);
  }

  /** A class that was idle starts now, also if nothing waits in the other: it has no claim on unused time. */
  #wake(own: ClassQueue<Item>): void {
    own.served = Math.max(own.served, this.#now);
  }

  #nextClass(): ClassQueue<Item> | undefined {
    const busy = PRIORITIES.map((priority) => this.#classes[priority]).filter(({ waiting }) => waiting.length > 0);
    return busy.reduce<ClassQueue<Item> | undefined>(
      (best, candidate) => (best === undefined || candidate.served < best.served ? candidate : best),
      undefined,
    );
  }

  /** Fills the batch from the head's class, in fair order, with entries of the same kind and a similar length. */
  #fillBatch(
    own: ClassQueue<Item>,
    head: Entry<Item>,
    limits: BatchLimits,
    test: (entry: Entry<Item>) => boolean = () => true,
  ): Entry<Item>[] {
    const others: Entry<Item>[] = [];
    if (head.alone || limits.maxItems <= 1) return others;
    let longest = head.cost;
    let total = head.cost;
    own.waiting = own.waiting.filter(({ entry }) => {
      const count = others.length + 2;
      if (count > limits.maxItems || entry.alone || entry.kind !== head.kind || !test(entry)) return true;
      const padded = Math.max(longest, entry.cost) * count;
      const padding = 1 - (total + entry.cost) / padded;
      if (padded > limits.maxCost || padding > limits.maxPadding) return true;
      longest = Math.max(longest, entry.cost);
      total += entry.cost;
      others.push(entry);
      return false;
    });
    return others;
  }

  #serve(own: ClassQueue<Item>, batch: readonly Entry<Item>[]): void {
    this.#now = Math.max(this.#now, own.served);
    // What each call got of the work, and one more that may come. If the time stood still while new calls keep coming, each would start
    // before the next item of a call with many, which would never end.
    const flows = new Set([...batch, ...own.waiting.map(({ entry }) => entry)].map(({ flow }) => flow)).size;
    own.now += batch.reduce((sum, { cost }) => sum + cost, 0) / (flows + 1);
    for (const entry of batch) own.served += entry.cost / WEIGHTS[entry.flow.priority];
  }

  #takeExpired(nowMs: number): Entry<Item>[] {
    return PRIORITIES.flatMap((priority) => {
      const own = this.#classes[priority];
      const expired = own.waiting.filter(({ entry }) => entry.deadlineAtMs <= nowMs);
      if (expired.length > 0) own.waiting = own.waiting.filter(({ entry }) => entry.deadlineAtMs > nowMs);
      return expired.map(({ entry }) => entry);
    });
  }
}

/** Inserts after all entries with the same or an earlier start, by binary search. */
function insert<Item>(waiting: Waiting<Item>[], added: Waiting<Item>): void {
  let low = 0;
  let high = waiting.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((waiting[middle]?.start ?? 0) <= added.start) low = middle + 1;
    else high = middle;
  }
  waiting.splice(low, 0, added);
}
