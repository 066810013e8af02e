import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InferenceSession, type Tensor } from 'onnxruntime-node';
import {
  architectureOf,
  buildGraph,
  type Config,
  ConfigReader,
  configFromDims,
  openCheckpoint,
  type Recipe,
  Weights,
} from '../../src/index.js';

/** The tiny checkpoints in every file form, which lie beside the project. */
export const CHECKPOINTS = fileURLToPath(new URL('../../../../../../shared/models/checkpoints/', import.meta.url));

/** Skips a suite, in one clear line, where the checkpoints are not there. */
export function needsCheckpoints(suite: Mocha.Suite): void {
  if (existsSync(CHECKPOINTS)) return;
  suite.beforeAll(function (this: Mocha.Context) {
    console.log(`      skipped: ${CHECKPOINTS} is not there`);
    this.skip();
  });
}

export interface Golden {
  readonly [name: string]: unknown;
}

export function golden(folder: string): Golden {
  return JSON.parse(readFileSync(join(CHECKPOINTS, folder, 'golden.json'), 'utf8')) as Golden;
}

/** Float32 numbers of a golden file. */
export function floats(base64: unknown): Float32Array {
  return new Float32Array(Uint8Array.from(Buffer.from(String(base64), 'base64')).buffer);
}

/** Graphs of a checkpoint, compiled by one recipe and opened. */
export class CompiledCheckpoint {
  readonly #sessions = new Map<string, InferenceSession>();

  private constructor(readonly folder: string) {}

  static async open(
    file: string,
    recipe: Recipe | 'fastest',
    options: { readonly overflowSafe?: boolean; readonly roles?: readonly string[] } = {},
  ): Promise<CompiledCheckpoint> {
    const path = join(CHECKPOINTS, file);
    const checkpoint = openCheckpoint(path);
    const config: Config =
      checkpoint.dims === undefined
        ? (JSON.parse(readFileSync(join(path, '..', 'config.json'), 'utf8')) as Config)
        : configFromDims(checkpoint.dims);
    const architecture = architectureOf(config);
    const weights = new Weights(checkpoint, architecture.renaming(checkpoint));
    const compiled = new CompiledCheckpoint(mkdtempSync(join(tmpdir(), 'compiled-')));
    for (const plan of architecture.graphs) {
      buildGraph(plan, {
        weights,
        config: new ConfigReader(config),
        recipe: recipe === 'fastest' ? (plan.recipes[0] as Recipe) : recipe,
        overflowSafe: options.overflowSafe ?? true,
        folder: compiled.folder,
      });
    }
    weights.expectAllTaken(architecture.unused);
    weights.close();
    for (const { role } of architecture.graphs) {
      if (options.roles?.includes(role) === false) continue;
      compiled.#sessions.set(
        role,
        await InferenceSession.create(join(compiled.folder, `${role}.onnx`), {
          intraOpNumThreads: 1,
          logSeverityLevel: 4,
        }),
      );
    }
    return compiled;
  }

  async run(role: string, feeds: Record<string, Tensor>): Promise<Record<string, Tensor>> {
    const session = this.#sessions.get(role);
    if (session === undefined) throw new Error(`no graph ${role}`);
    return (await session.run(feeds)) as Record<string, Tensor>;
  }

  async close(): Promise<void> {
    for (const session of this.#sessions.values()) await session.release();
  }
}

/** The largest difference over the largest value. */
export function relativeError(values: ArrayLike<number>, expected: ArrayLike<number>): number {
  let difference = 0;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    difference = Math.max(difference, Math.abs((values[i] as number) - (expected[i] as number)));
    largest = Math.max(largest, Math.abs(expected[i] as number));
  }
  return values.length === expected.length ? difference / largest : Number.POSITIVE_INFINITY;
}

export function cosine(one: ArrayLike<number>, other: ArrayLike<number>): number {
  let dot = 0;
  let first = 0;
  let second = 0;
  for (let i = 0; i < one.length; i++) {
    dot += (one[i] as number) * (other[i] as number);
    first += (one[i] as number) ** 2;
    second += (other[i] as number) ** 2;
  }
  return dot / Math.sqrt(first * second);
}
