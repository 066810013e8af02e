import { compileOfFetched, compileOfFound } from './compile/plan-compile.js';
import { type Plan, totalsOf } from './plan.js';

/**
 * A plan in parts, to be carried out one after the other: first what is not compiled, then each repository whose checkpoint is on
 * the volume, then each that has to be fetched. Pure.
 */
export function plansInTurn(plan: Plan): readonly Plan[] {
  const compiled = plan.models.filter(({ remoteFiles }) => remoteFiles.state.configured.compile !== undefined);
  const part = (models: Plan['models'], more: Partial<Plan> = {}): Plan => {
    const needed = new Set(models.flatMap(({ files }) => files.map(({ blob }) => blob)));
    return { complete: [], compile: [], models, blobs: plan.blobs.filter((blob) => needed.has(blob)), ...more };
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

/** What a plan costs beside the fetch. */
export interface PlanCosts {
  /** Of compiling. */
  readonly seconds: number;
  /** The most that the volume holds more than now while the plan is carried out, and what it holds more when it is done. */
  readonly peakBytes: number;
  readonly endBytes: number;
}

/** Reckons what carrying a plan out takes; checkpoints that are on the volume already are not counted as room that is made. Pure. */
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
    endBytes += compiledBytes + (keepCheckpoints ? fetchBytes : fetchBytes - fetchedCheckpoints(part));
  }
  return { seconds, peakBytes, endBytes };
}

/** Bytes of checkpoints that are fetched. */
function fetchedCheckpoints({ models }: Plan): number {
  const blobs = new Set(
    models.flatMap(({ remoteFiles, files }) =>
      files
        .filter(
          ({ offered, blob }) => remoteFiles.checkpoint?.paths.includes(offered.file.path) && blob.action === 'fetch',
        )
        .map(({ blob }) => blob),
    ),
  );
  return [...blobs].reduce((sum, { sizeBytes, resumableBytes }) => sum + (sizeBytes ?? 0) - resumableBytes, 0);
}

function grouped<Item>(items: readonly Item[], keyOf: (item: Item) => string): readonly (readonly Item[])[] {
  const groups = new Map<string, Item[]>();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return [...groups.values()];
}
