/**
 * What waits for one model, and what runs next: a pure structure without timers, promises or a clock of its own.
 *
 * The order is start-time fair queueing (Goyal, Vin, Cheng, 1996) on two levels. The classes `interactive` and `bulk` share
 * the model by weight, so bulk work is slower under load but never starves. Within a class every call is a flow of its own:
 * a call with 200 items and a call with one item take turns by cost, so the short one is not behind the long one.
 */

export const PRIORITIES = ['interactive', 'bulk'] as const;
export type Priority = (typeof PRIORITIES)[number];

/** Share of the model a class gets while both have work. */
const WEIGHTS = { interactive: 8, bulk: 1 } as const satisfies Record<Priority, number>;

/** One caller's items. A call makes one and gives it with each of its items. */
export class Flow {
  /** Virtual time at which the flow's items so far are done; kept by the backlog. */
  finish = 0;

  constructor(readonly priority: Priority) {}
}

export interface Entry<Item> {
  readonly item: Item;
  readonly flow: Flow;
  /** In the family's unit; above 0. */
  readonly cost: number;
  /** Only entries of one kind share a batch. */
  readonly kind: string;
  /** Milliseconds on the caller's clock; Infinity: none. */
  readonly deadlineAtMs: number;
  /** Must run alone: it may have killed a worker. */
  readonly alone: boolean;
}

/** How entries may be put together. */
export interface BatchLimits {
  readonly maxItems: number;
  /** Sum of the costs, each counted as the batch's largest: that is what a padded run costs. The first always fits. */
  readonly maxCost: number;
  /** Part of a padded run that may be padding, 0 to 1. */
  readonly maxPadding: number;
}

export interface Taken<Item> {
  readonly batch: readonly Entry<Item>[];
  /** Entries whose deadline has passed: they are out of the backlog and must not run. */
  readonly expired: readonly Entry<Item>[];
}

interface Waiting<Item> {
  readonly entry: Entry<Item>;
  /** Virtual time at which it may start. */
  readonly start: number;
}

/** The order of one class: sorted by virtual start; equal starts keep their order of arrival. */
class ClassQueue<Item> {
  waiting: Waiting<Item>[] = [];
  /** Virtual time of the class among the classes. */
  served = 0;
  /** Virtual time among the flows of this class: the start of what was taken last. */
  now = 0;
}

export class FairQueue<Item> {
  readonly #classes: Readonly<Record<Priority, ClassQueue<Item>>> = {
    interactive: new ClassQueue(),
    bulk: new ClassQueue(),
  };
  #cost = 0;
  #size = 0;

  /** Entries waiting. */
  get size(): number {
    return this.#size;
  }

  /** Sum of the waiting entries' costs. */
  get cost(): number {
    return this.#cost;
  }

  /** Adds an entry behind its flow's others. */
  push(entry: Entry<Item>): void {
    const own = this.#classes[entry.flow.priority];
    if (own.waiting.length === 0) this.#wake(entry.flow.priority);
    const start = Math.max(own.now, entry.flow.finish);
    entry.flow.finish = start + entry.cost;
    insert(own.waiting, { entry, start });
    this.#cost += entry.cost;
    this.#size += 1;
  }

  /** Puts an entry that did not get its run at the very front again. */
  pushFront(entry: Entry<Item>): void {
    const own = this.#classes[entry.flow.priority];
    if (own.waiting.length === 0) this.#wake(entry.flow.priority);
    own.waiting.unshift({ entry, start: Math.min(own.now, own.waiting[0]?.start ?? own.now) });
    this.#cost += entry.cost;
    this.#size += 1;
  }

  /** Takes an abandoned entry out. False when it is not here (any more). */
  remove(entry: Entry<Item>): boolean {
    const { waiting } = this.#classes[entry.flow.priority];
    const index = waiting.findIndex((candidate) => candidate.entry === entry);
    if (index < 0) return false;
    waiting.splice(index, 1);
    this.#forget(entry);
    return true;
  }

  /** The next batch; empty only when nothing waits that is not expired. */
  take(limits: BatchLimits, nowMs: number): Taken<Item> {
    const expired = this.#takeExpired(nowMs);
    const own = this.#nextClass();
    const head = own?.waiting.shift();
    if (own === undefined || head === undefined) return { batch: [], expired };
    own.now = Math.max(own.now, head.start);
    const batch = [head.entry, ...this.#fillBatch(own, head.entry, limits)];
    this.#serve(own, batch);
    return { batch, expired };
  }

  /** The first interactive entry, in the fair order, that passes the test, and others that do as well; empty where none does. */
  takeInteractive(test: (entry: Entry<Item>) => boolean, limits: BatchLimits): readonly Entry<Item>[] {
    const own = this.#classes.interactive;
    const index = own.waiting.findIndex(({ entry }) => test(entry));
    const [head] = index < 0 ? [] : own.waiting.splice(index, 1);
    if (head === undefined) return [];
    const batch = [head.entry, ...this.#fillBatch(own, head.entry, limits, test)];
    this.#serve(own, batch);
    return batch;
  }

  /** Everything, in no order; the backlog is empty afterwards. */
  drain(): readonly Entry<Item>[] {
    const all = PRIORITIES.flatMap((priority) => this.#classes[priority].waiting.splice(0));
    this.#cost = 0;
    this.#size = 0;
    return all.map(({ entry }) => entry);
  }

  /** A class that was idle starts level with the other one: it has no claim on time it did not use. */
  #wake(priority: Priority): void {
    const own = this.#classes[priority];
    const other = this.#classes[priority === 'interactive' ? 'bulk' : 'interactive'];
    if (other.waiting.length > 0) own.served = Math.max(own.served, other.served);
  }

  #nextClass(): ClassQueue<Item> | undefined {
    const busy = PRIORITIES.map((priority) => this.#classes[priority]).filter(({ waiting }) => waiting.length > 0);
    return busy.reduce<ClassQueue<Item> | undefined>(
      (best, candidate) => (best === undefined || candidate.served < best.served ? candidate : best),
      undefined,
    );
  }

  /** Fills the batch from the head's class, in the fair order, with what is of its kind and like its length. */
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
    for (const entry of batch) {
      this.#forget(entry);
      own.served += entry.cost / WEIGHTS[entry.flow.priority];
    }
  }

  #takeExpired(nowMs: number): Entry<Item>[] {
    const expired: Entry<Item>[] = [];
    for (const priority of PRIORITIES) {
      const own = this.#classes[priority];
      if (!own.waiting.some(({ entry }) => entry.deadlineAtMs <= nowMs)) continue;
      own.waiting = own.waiting.filter(({ entry }) => {
        if (entry.deadlineAtMs > nowMs) return true;
        expired.push(entry);
        this.#forget(entry);
        return false;
      });
    }
    return expired;
  }

  #forget(entry: Entry<Item>): void {
    this.#size -= 1;
    this.#cost = this.#size === 0 ? 0 : this.#cost - entry.cost;
  }
}

/** Inserts behind all with the same or an earlier start, by binary search. */
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
