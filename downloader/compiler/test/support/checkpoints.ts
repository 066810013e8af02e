import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InferenceSession, type Tensor } from 'onnxruntime-node';
import {
  architectureOf,
  buildGraph,
  type CompiledGraph,
  type Config,
  ConfigReader,
  compileCheckpoint,
  configFromDims,
  openCheckpoint,
  type Precision,
  type Recipe,
  Weights,
} from '../../src/index.js';

/** The tiny checkpoints in every file form, from the directory next to the project. */
const CHECKPOINTS = fileURLToPath(new URL('../../../../../../shared/models/checkpoints/', import.meta.url));

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

export function golden(dir: string): Golden {
  return JSON.parse(readFileSync(join(CHECKPOINTS, dir, 'golden.json'), 'utf8')) as Golden;
}

/** Float32 numbers of a golden file. */
export function floats(base64: unknown): Float32Array {
  return new Float32Array(Uint8Array.from(Buffer.from(String(base64), 'base64')).buffer);
}

/** Graphs of a checkpoint, compiled by one recipe, or in one precision with the self-check, and opened. */
export class CompiledCheckpoint {
  readonly #sessions = new Map<string, InferenceSession>();
  /** What the self-check said, by graph; empty where a recipe was given. */
  readonly checked = new Map<string, CompiledGraph>();

  private constructor(readonly dir: string) {}

  /** As the program compiles it: each graph checked, a finer form where it is needed. */
  static async compile(file: string, precision: Precision, overflowSafe = true): Promise<CompiledCheckpoint> {
    const path = join(CHECKPOINTS, file);
    const configPath = join(path, '..', 'config.json');
    const config = existsSync(configPath) ? { config: JSON.parse(readFileSync(configPath, 'utf8')) as Config } : {};
    const compiled = new CompiledCheckpoint(mkdtempSync(join(tmpdir(), 'compiled-')));
    const { graphs } = await compileCheckpoint({
      checkpoint: path,
      ...config,
      dir: compiled.dir,
      precision,
      overflowSafe,
    });
    for (const graph of graphs) compiled.checked.set(graph.role, graph);
    await compiled.#openAll(graphs.map(({ role }) => role));
    return compiled;
  }

  static async open(
    file: string,
    recipe: Recipe,
    options: { readonly overflowSafe?: boolean } = {},
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
        recipe,
        overflowSafe: options.overflowSafe ?? true,
        dir: compiled.dir,
      });
    }
    weights.expectAllUsed(architecture.unused(config));
    weights.close();
    await compiled.#openAll(architecture.graphs.map(({ role }) => role));
    return compiled;
  }

  async #openAll(roles: readonly string[]): Promise<void> {
    for (const role of roles) {
      const path = join(this.dir, `${role}.onnx`);
      this.#sessions.set(role, await InferenceSession.create(path, { intraOpNumThreads: 1, logSeverityLevel: 4 }));
    }
  }

  async run(role: string, feeds: Record<string, Tensor>): Promise<Record<string, Tensor>> {
    const session = this.#sessions.get(role);
    if (session === undefined) throw new Error(`no graph ${role}`);
    return (await session.run(feeds)) as Record<string, Tensor>;
  }

  async close(): Promise<void> {
    for (const session of this.#sessions.values()) await session.release();
    rmSync(this.dir, { recursive: true, force: true });
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
