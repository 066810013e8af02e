import { compileOfFetched, compileOfFound } from './compile/plan-compile.js';
import { type Plan, totalsOf, withModels } from './plan.js';

/**
 * Splits a plan into parts that run one after the other: first what is not compiled, then each repository whose checkpoint is on
 * the volume, then each that has to be fetched. Pure.
 */
export function plansInTurn(plan: Plan): readonly Plan[] {
  const compiled = plan.models.filter(({ remoteFiles }) => remoteFiles.state.configured.compile !== undefined);
  const part = (models: Plan['models'], more: Partial<Plan> = {}): Plan => {
    return { ...withModels(plan, models), complete: [], compile: [], ...more };
  };
  const first = part(
    plan.models.filter((model) => !compiled.includes(model)),
    { complete: plan.complete },
  );
  return [
    ...(first.models.length + first.complete.length > 0 ? [first] : []),
    ...grouped(plan.compile, ({ inspection }) => inspection.repository).map((compile) => part([], { compile })),
    ...grouped(compiled, ({ remoteFiles }) => remoteFiles.repository).map((models) => part(models)),
  ];
}

/** Costs of a plan in addition to the fetch. */
export interface PlanCosts {
  /** Compile time. */
  readonly seconds: number;
  /** Maximum additional bytes on the volume while the plan runs, and additional bytes afterwards. */
  readonly peakBytes: number;
  readonly endBytes: number;
}

/** Estimates the costs of a plan. Checkpoints already on the volume are not counted as freed space. Pure. */
export function costsOf(plan: Plan, keepCheckpoints: boolean): PlanCosts {
  let seconds = 0;
  let peakBytes = 0;
  let endBytes = 0;
  for (const part of keepCheckpoints ? [plan] : plansInTurn(plan)) {
    const compiles = [...part.compile.map(compileOfFound), ...part.models.map(compileOfFetched)];
    let compiledBytes = 0;
    for (const compile of compiles) {
      seconds += compile?.seconds ?? 0;
      compiledBytes += compile?.diskBytes ?? 0;
    }
    const { fetchBytes } = totalsOf(part);
    peakBytes = Math.max(peakBytes, endBytes + fetchBytes + compiledBytes);
    endBytes += compiledBytes + (keepCheckpoints ? fetchBytes : fetchBytes - checkpointBytes(part));
  }
  return { seconds, peakBytes, endBytes };
}

/** What a plan does with the bytes of its costs, for messages about the volume's space. */
export function howFilled({ seconds }: PlanCosts): string {
  return seconds > 0 ? 'fetched and compiled' : 'fetched';
}

/** Returns the bytes to fetch of checkpoints. */
function checkpointBytes(plan: Plan): number {
  const checkpoints = plan.models.flatMap(({ remoteFiles: { checkpoint }, files }) =>
    files.filter(({ offered }) => checkpoint?.paths.includes(offered.file.path)).map(({ blob }) => blob),
  );
  return totalsOf({ ...plan, blobs: [...new Set(checkpoints)] }).fetchBytes;
}

function grouped<Item>(items: readonly Item[], keyOf: (item: Item) => string): readonly (readonly Item[])[] {
  const groups = new Map<string, Item[]>();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return [...groups.values()];
}
