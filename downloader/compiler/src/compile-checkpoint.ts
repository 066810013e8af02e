import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type BuiltGraph, buildGraph } from './build-graph.js';
import type { Values } from './check/layerwise.js';
import { runFloat32, runWritten } from './check/self-check.js';
import { openCheckpoint } from './checkpoint/open-checkpoint.js';
import { Weights } from './checkpoint/weights.js';
import { CompilerError } from './errors.js';
import { architectureOf, type GraphPlan } from './families/architectures.js';
import { type Config, ConfigReader } from './families/config.js';
import { configFromDims } from './families/whisper-names.js';
import { type Recipe, uniformRecipe } from './graph/layers.js';
import type { WrittenFile } from './graph/weights-file.js';
import type { Precision } from './precision.js';

export interface CompileOptions {
  /** A safetensors file, a file of torch.save, or the index of shards. */
  readonly checkpoint: string;
  /** The values of config.json; absent for OpenAI's .pt files, which say it themselves. */
  readonly config?: Config;
  /** An empty directory that the graphs are written to. */
  readonly dir: string;
  readonly precision: Precision;
  /** Whether 8-bit weights are made for CPUs without VNNI, too. */
  readonly overflowSafe: boolean;
  /** The tokens of an empty text, which stand around every text: the self-check tries short ones. Absent: unknown. */
  readonly emptyText?: readonly number[];
  /** Told what is done next. */
  onStep?(step: CompileStep): void;
}

/**
 * What is done for `graph` of `graphs`: its answers in float32 are worked out, it is written, or its answers are compared with
 * those. A graph that was not near enough is written and compared again.
 */
export interface CompileStep {
  readonly role: string;
  readonly phase: 'float32' | 'build' | 'compare';
  /** What of the phase is done, 0 to 1: told layer by layer where layers are run. */
  readonly share: number;
  readonly graph: number;
  readonly graphs: number;
}

type OnPhase = (phase: CompileStep['phase'], share: number) => void;

/** A graph that was written and checked. */
export interface CompiledGraph {
  readonly role: string;
  readonly files: readonly WrittenFile[];
  /** The form of each kind of product. */
  readonly recipe: Recipe;
  /** The least cosine to float32 over the probe; absent in float32. */
  readonly cosine?: number;
}

export interface CompiledModel {
  readonly modelType: string;
  readonly graphs: readonly CompiledGraph[];
}

/**
 * Compiles a checkpoint to graphs of its architecture. Each 8-bit graph is compared with float32 on inputs of its own, and a finer
 * form is taken where it is not near enough. Memory holds a layer at a time. Throws CompilerError.
 */
export async function compileCheckpoint(options: CompileOptions): Promise<CompiledModel> {
  const checkpoint = openCheckpoint(options.checkpoint);
  // OpenAI's files say what they are; what lies beside them may be of another size.
  const config = checkpoint.dims === undefined ? options.config : configFromDims(checkpoint.dims);
  if (config === undefined)
    throw new CompilerError('CONFIG_UNSUPPORTED', 'Expected config.json beside the checkpoint, got none.');
  const architecture = architectureOf(config);
  const weights = new Weights(checkpoint, architecture.renaming(checkpoint));
  try {
    const graphs: CompiledGraph[] = [];
    let heard: Values = {};
    for (const [index, plan] of architecture.graphs.entries()) {
      const job = new GraphJob(plan, weights, new ConfigReader(config), options, (phase, share) =>
        options.onStep?.({ role: plan.role, phase, share, graph: index + 1, graphs: architecture.graphs.length }),
      );
      const { graph, reference } = options.precision === 'fp32' ? job.inFloat32() : await job.inFewerBits(heard);
      graphs.push(graph);
      heard = { ...heard, ...reference };
    }
    weights.expectAllTaken(architecture.unused);
    return { modelType: String(config.model_type), graphs };
  } finally {
    weights.close();
  }
}

/** A vocabulary's scores are told apart by less than half precision has. */
const HALF_PRECISION: Recipe = { ...uniformRecipe('float16'), vocabulary: 'float32' };

/** What half precision must come to; where it does not (values beyond its range), the graph is in float32. */
const HALF_MIN_COSINE = 0.9999;

interface Done {
  readonly graph: CompiledGraph;
  readonly reference: Values;
}

/** One graph of a model on its way. */
class GraphJob {
  readonly #plan: GraphPlan;
  readonly #weights: Weights;
  readonly #config: ConfigReader;
  readonly #options: CompileOptions;
  readonly #onPhase: OnPhase;

  constructor(plan: GraphPlan, weights: Weights, config: ConfigReader, options: CompileOptions, onPhase: OnPhase) {
    this.#plan = plan;
    this.#weights = weights;
    this.#config = config;
    this.#options = options;
    this.#onPhase = onPhase;
  }

  inFloat32(): Done {
    const recipe = uniformRecipe('float32');
    return { graph: { role: this.#plan.role, files: this.#build(recipe).files, recipe }, reference: {} };
  }

  /** The fastest recipe that is near enough to float32. */
  async inFewerBits(heard: Values): Promise<Done> {
    const { role, comparison } = this.#plan;
    const { dir, precision } = this.#options;
    const recipes = precision === 'fp16' ? [HALF_PRECISION] : this.#plan.recipes;
    const minCosine = precision === 'fp16' ? HALF_MIN_COSINE : this.#plan.minCosine;
    const probe = this.#plan.probe(this.#config, heard, this.#options.emptyText ?? []);
    const reference = await runFloat32(this.#plan, this.#weights, this.#config, probe, dir, this.#tell('float32'));
    for (const recipe of recipes) {
      const { files, layered } = this.#build(recipe);
      const answers = await runWritten(layered, role, probe, dir, this.#tell('compare'));
      const cosine = comparison(reference, answers, probe);
      if (cosine >= minCosine) return { graph: { role, files, recipe, cosine }, reference };
      for (const { name } of files) rmSync(join(dir, name));
    }
    return { ...this.inFloat32(), reference };
  }

  #tell(phase: CompileStep['phase']): (share: number) => void {
    return (share) => this.#onPhase(phase, share);
  }

  #build(recipe: Recipe): BuiltGraph {
    this.#onPhase('build', 0);
    const { overflowSafe, dir } = this.#options;
    return buildGraph(this.#plan, { weights: this.#weights, config: this.#config, recipe, overflowSafe, dir });
  }
}
