/**
 * When a short item may go between the steps of a long run, so that a search or a spoken command does not wait for four
 * windows of an audio file. Pure.
 */
import type { Entry, Flow, Priority } from './fair-queue.js';

/** An item this much shorter than what it would wait for may go between. */
const MAX_OF_THE_LONGEST = 0.5;
/** What goes between may make a run longer by so much altogether: then it is the turn of who waits longest. */
const MAX_OF_THE_RUN = 0.5;
/** A run that is sooner over is not worth it: what waits shares the next one. */
export const MIN_RUN_MS = 250;

/** A run that is going on, and what has gone between its steps. */
export interface Preemptible {
  readonly priority: Priority;
  /** The calls whose items it has. */
  readonly flows: ReadonlySet<Flow>;
  /** Sum of the costs of its items, in the family's unit, and the largest of them. */
  readonly cost: number;
  readonly longest: number;
  /** Sum of the costs of what interrupted it so far. */
  readonly preemptedCost: number;
  /** How long it will take by the measured rate; undefined: nothing was measured. */
  readonly expectedMs: number | undefined;
}

/**
 * Whether an item may interrupt the run: only interactive ones, at most half as long as the run's longest item, or of bulk work
 * as all of the run. A call does not interrupt itself: it would only come to its end in smaller chunks.
 */
export function mayPreempt(entry: Pick<Entry<unknown>, 'cost' | 'flow'>, run: Preemptible): boolean {
  if (entry.flow.priority !== 'interactive' || run.flows.has(entry.flow)) return false;
  if ((run.expectedMs ?? MIN_RUN_MS) < MIN_RUN_MS) return false;
  const waitsFor = run.priority === 'bulk' ? run.cost : run.longest;
  return entry.cost <= waitsFor * MAX_OF_THE_LONGEST && entry.cost <= preemptionBudget(run);
}

/** Cost of what may still go between the run's steps. */
export function preemptionBudget({ cost, preemptedCost }: Preemptible): number {
  return cost * MAX_OF_THE_RUN - preemptedCost;
}
