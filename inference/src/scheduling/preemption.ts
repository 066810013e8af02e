/**
 * When a short item may run between the steps of a long run: a search or a voice command should not wait for four windows of
 * an audio file. Pure.
 */
import type { Priority } from '../priority.js';
import type { Entry, Flow } from './fair-queue.js';

/** Maximum cost of a preempting item, as a fraction of the work that it would wait for. */
const MAX_ITEM_FRACTION = 0.5;
/** Preempting items may extend a run by at most this fraction. */
const MAX_RUN_FRACTION = 0.5;
/** Shorter runs are not preempted: the waiting items share the next run. */
const MIN_RUN_MS = 250;

/** A current run and its preemptions. */
export interface Preemptible {
  readonly priority: Priority;
  /** The flows of its items. */
  readonly flows: ReadonlySet<Flow>;
  /** Sum of its items' costs, in the family's unit. */
  readonly cost: number;
  /** The largest cost of an item. */
  readonly longest: number;
  /** Total cost of the items that preempted it so far. */
  readonly preemptedCost: number;
  /** Expected run time by the measured rate; undefined: nothing measured yet. */
  readonly expectedMs: number | undefined;
}

/**
 * Returns whether an item may preempt the run. Only an interactive item may, if its cost is at most half of the run's longest
 * item, or half of the whole run if that is bulk work. A call does not preempt itself: that would only split its own work.
 */
export function mayPreempt(entry: Pick<Entry<unknown>, 'cost' | 'flow'>, run: Preemptible): boolean {
  if (entry.flow.priority !== 'interactive' || run.flows.has(entry.flow)) return false;
  if ((run.expectedMs ?? MIN_RUN_MS) < MIN_RUN_MS) return false;
  const waitsFor = run.priority === 'bulk' ? run.cost : run.longest;
  return entry.cost <= waitsFor * MAX_ITEM_FRACTION && entry.cost <= preemptionBudget(run);
}

/** Returns the total cost of the items that may still preempt the run. */
export function preemptionBudget({ cost, preemptedCost }: Preemptible): number {
  return cost * MAX_RUN_FRACTION - preemptedCost;
}
