import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Context } from 'mocha';
import type { LoadOptions, ModelFiles, RunContext } from '../../src/models/model.js';

/** The repository's root, seen from dist/test/support. */
const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));

/** A file or directory of the repository. */
export function inRepository(path: string): string {
  return `${ROOT}${path}`;
}

/** A file or directory of the material that lies beside the repository, where it is there. */
export function inShared(path: string): string {
  return `${ROOT}../shared/${path}`;
}

/** Skips a test, with a line that says why, where the material beside the repository is absent. */
export function needsShared(test: Context, path: string): void {
  if (existsSync(inShared(path))) return;
  console.log(`      skipped: ../shared/${path} is not there`);
  test.skip();
}

export function readJsonFile<T>(path: string): T {
  return JSON.parse(readFileSync(path, 'utf8')) as T;
}

/** What the server hands a model family, for a repository's directory. */
export function modelFiles(id: string, dir: string, weights: Readonly<Record<string, string>>): ModelFiles {
  const paths = Object.fromEntries(Object.entries(weights).map(([name, path]) => [name, `${dir}/${path}`]));
  return { id, revision: '0'.repeat(40), variant: 'test', dir, weights: paths };
}

/**
 * HEIMDEX_TEST_WEIGHTS=plain or overflow-safe has the models that tests load themselves take that form of their 8-bit weights,
 * whatever the CPU says; plain ones are only right on a CPU whose 8-bit product is exact.
 */
function testedWeights(): Pick<LoadOptions, 'weights'> {
  const { HEIMDEX_TEST_WEIGHTS: weights } = process.env;
  if (weights === undefined || weights === '') return {};
  if (weights === 'plain' || weights === 'overflow-safe') return { weights };
  throw new Error(`Expected HEIMDEX_TEST_WEIGHTS to be plain or overflow-safe, got ${weights}.`);
}

export const OPTIONS: LoadOptions = { device: 'cpu', threads: 1, maxImagePixels: 50_000_000, ...testedWeights() };

/** For a run that nobody cancels. */
export const CONTEXT: RunContext = { signals: [], yieldToEventLoop: () => Promise.resolve() };

/** Cosine of the angle between two vectors. */
export function cosine(one: ArrayLike<number>, other: ArrayLike<number>): number {
  let dot = 0;
  let left = 0;
  let right = 0;
  for (let index = 0; index < one.length; index += 1) {
    const a = one[index] ?? Number.NaN;
    const b = other[index] ?? Number.NaN;
    dot += a * b;
    left += a * a;
    right += b * b;
  }
  return dot / Math.sqrt(left * right);
}
