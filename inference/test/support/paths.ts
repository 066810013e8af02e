import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Context } from 'mocha';
import type { LoadOptions, ModelFiles, RunContext } from '../../src/models/model.js';

/** The repository root, relative to dist/test/support. */
const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));

/** Returns the path of a file or directory of the repository. */
export function inRepository(path: string): string {
  return `${ROOT}${path}`;
}

/** Returns the path of shared material next to the repository, which may not exist. */
export function inShared(path: string): string {
  return `${ROOT}../shared/${path}`;
}

/** Skips a test, with the reason on the console, if shared material is absent. */
export function needsShared(test: Context, path: string): void {
  if (existsSync(inShared(path))) return;
  console.log(`      skipped: ../shared/${path} does not exist`);
  test.skip();
}

export function readJsonFile<T>(path: string): T {
  return JSON.parse(readFileSync(path, 'utf8')) as T;
}

/** Creates the ModelFiles of a model directory. */
export function modelFiles(id: string, dir: string, weights: Readonly<Record<string, string>>): ModelFiles {
  const paths = Object.fromEntries(Object.entries(weights).map(([name, path]) => [name, `${dir}/${path}`]));
  return { id, revision: '0'.repeat(40), variant: 'test', dir, weights: paths };
}

/**
 * HEIMDEX_TEST_WEIGHTS=plain or overflow-safe sets the form of 8-bit weights for models loaded by tests, independent of the CPU;
 * plain ones are only correct on a CPU with an exact 8-bit product.
 */
function testedWeights(): Pick<LoadOptions, 'weights'> {
  const { HEIMDEX_TEST_WEIGHTS: weights } = process.env;
  if (weights === undefined || weights === '') return {};
  if (weights === 'plain' || weights === 'overflow-safe') return { weights };
  throw new Error(`Expected HEIMDEX_TEST_WEIGHTS to be plain or overflow-safe, got ${weights}.`);
}

export const OPTIONS: LoadOptions = { device: 'cpu', threads: 1, maxImagePixels: 50_000_000, ...testedWeights() };

/** The context of a run without cancellation. */
export const CONTEXT: RunContext = { signals: [], yieldToEventLoop: () => Promise.resolve() };

/** Cosine of the angle between two vectors. */
export function cosine(first: ArrayLike<number>, second: ArrayLike<number>): number {
  let dot = 0;
  let left = 0;
  let right = 0;
  for (let index = 0; index < first.length; index += 1) {
    const a = first[index] ?? Number.NaN;
    const b = second[index] ?? Number.NaN;
    dot += a * b;
    left += a * a;
    right += b * b;
  }
  return dot / Math.sqrt(left * right);
}
