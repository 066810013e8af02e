import { stat } from 'node:fs/promises';
import { type Catalogue, readCatalogue } from './catalogue.js';
import { DownloaderError } from './errors.js';
import { type Inventory, isComplete, type ModelState, needsOnlyCompiling } from './inventory.js';
import { type BlobOnDisk, blobPathOf, makePlan, type Plan } from './plan.js';
import type { Remote } from './remote.js';
import { resumableBytes } from './transfer/leftovers.js';

/**
 * From what is there to what has to be done. Models that lack nothing cost no request.
 *
 * @throws DownloaderError OFFLINE with all that is missing when requests are forbidden; what the sources answer else.
 */
export async function preparePlan(inventory: Inventory, remote: Remote, signal: AbortSignal): Promise<Plan> {
  const complete = inventory.models.filter(isComplete);
  const compile = inventory.models.filter(needsOnlyCompiling);
  const lacking = inventory.models.filter((model) => !isComplete(model) && !needsOnlyCompiling(model));
  if (lacking.length > 0 && inventory.environment.offline) throw offlineError(lacking);
  return planFor(inventory, { complete, compile }, lacking, remote, signal);
}

/** The same for every configured model, whether or not it lacks something: what its sources offer now. */
export function planAnew(inventory: Inventory, remote: Remote, signal: AbortSignal): Promise<Plan> {
  return planFor(inventory, { complete: [], compile: [] }, inventory.models, remote, signal);
}

async function planFor(
  inventory: Inventory,
  settled: Pick<Plan, 'complete' | 'compile'>,
  asked: readonly ModelState[],
  remote: Remote,
  signal: AbortSignal,
): Promise<Plan> {
  const { cacheDir } = inventory.environment;
  const catalogues: Catalogue[] = [];
  for (const model of asked) catalogues.push(await readCatalogue(model, cacheDir, remote, signal));
  const onDisk = await lookAtBlobs(cacheDir, catalogues);
  return makePlan(cacheDir, settled, catalogues, (path) => onDisk.get(path) ?? NOTHING);
}

const NOTHING: BlobOnDisk = { sizeBytes: undefined, resumableBytes: 0 };

async function lookAtBlobs(cacheDir: string, catalogues: readonly Catalogue[]): Promise<Map<string, BlobOnDisk>> {
  const onDisk = new Map<string, BlobOnDisk>();
  for (const catalogue of catalogues) {
    for (const offered of catalogue.files) {
      const finalPath = blobPathOf(cacheDir, catalogue, offered);
      const { sizeBytes, hash } = offered;
      const resumable = sizeBytes === undefined ? 0 : await resumableBytes({ finalPath, sizeBytes, hash });
      onDisk.set(finalPath, { sizeBytes: await sizeOf(finalPath), resumableBytes: resumable });
    }
  }
  return onDisk;
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch {
    return undefined;
  }
}

function offlineError(lacking: readonly ModelState[]): DownloaderError {
  const lines = lacking.flatMap((model) => missingLines(model));
  return new DownloaderError(
    'OFFLINE',
    [
      'HF_HUB_OFFLINE is set, so no request is made, and these files are missing or wrong:',
      ...lines.map((line) => `  ${line}`),
      'With a network, run: HF_HUB_OFFLINE=0 heimdex-downloader download',
    ].join('\n'),
  );
}

/** What a model lacks, a line each. */
export function missingLines({ configured, inspection, damaged }: ModelState): string[] {
  const name = `${configured.role} ${configured.id}`;
  const problems = inspection.files.filter((file) => file.problem !== undefined);
  if (inspection.found === undefined && problems.length === 0) {
    return configured.files.filter((file) => file.required).map((file) => `${name}: ${file.path}`);
  }
  return [
    ...problems.map(({ file, absolutePath }) => `${name}: ${file.path} (looked at ${absolutePath})`),
    ...[...damaged].map((path) => `${name}: ${path} (its bytes are wrong)`),
  ];
}
