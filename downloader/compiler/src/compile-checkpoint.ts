import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { assertTensors } from './assert-tensors.js';
import { buildGraph } from './build-graph.js';
import type { Values } from './check/layerwise.js';
import { runFloat32, runWritten } from './check/self-check.js';
import { joinedCheckpoint, openCheckpoint } from './checkpoint/open-checkpoint.js';
import { Weights } from './checkpoint/weights.js';
import { CompilerError } from './errors.js';
import { architectureOf, type GraphPlan, readerOf } from './families/architectures.js';
import type { Config, ConfigReader } from './families/config.js';
import { DENSE, type DenseModule } from './families/dense.js';
import { configFromDims } from './families/whisper-names.js';
import { type Recipe, uniformRecipe } from './graph/forms.js';
import type { InputPeaks } from './graph/products.js';
import type { WrittenFile } from './graph/weights-file.js';

/** Numbers of a compiled model's matrices. */
export type Precision = 'int8' | 'fp16' | 'fp32';

export interface CompileOptions {
  /** A safetensors file, a file of torch.save, or the index of shards. */
  readonly checkpoint: string;
  /** Of an index, the shards whose bytes are verified: no others are opened. Absent: all. */
  readonly verified?: readonly string[];
  /** Values of config.json; absent for OpenAI's .pt files, which contain them. */
  readonly config?: Config;
  /** A layer behind the pooling of a sentence embedder. */
  readonly dense?: DenseModule;
  /** An empty directory for the graphs. */
  readonly dir: string;
  readonly precision: Precision;
  /** Whether 8-bit weights also suit CPUs without VNNI. */
  readonly overflowSafe: boolean;
  /** Tokens of an empty text, i.e. the special tokens around every text, for short texts in the self-check. Absent: unknown. */
  readonly emptyText?: readonly number[] | undefined;
  /** Called at each step. */
  onStep?(step: CompileStep): void;
}

/**
 * Step of `graph` of `graphs`: its float32 outputs are computed, it is written, or its outputs are compared with those. A graph
 * that is not accurate enough is written and compared again.
 */
export interface CompileStep {
  readonly role: string;
  readonly phase: 'float32' | 'build' | 'compare';
  /** Completed fraction of the phase, 0 to 1; reported layer by layer when layers are run. */
  readonly share: number;
  readonly graph: number;
  readonly graphs: number;
}

type OnPhase = (phase: CompileStep['phase'], share: number) => void;

/** A written and checked graph. */
export interface CompiledGraph {
  readonly role: string;
  readonly files: readonly WrittenFile[];
  /** The form of each kind of product. */
  readonly recipe: Recipe;
  /** Minimum cosine to float32 over the probe; absent in float32. */
  readonly cosine?: number;
}

export interface CompiledModel {
  readonly modelType: string;
  readonly graphs: readonly CompiledGraph[];
}

/**
 * Compiles a checkpoint to graphs of its architecture. Each 8-bit graph is compared with float32 on built-in inputs, and a finer
 * form is used if it is not accurate enough. Memory holds one layer at a time. Throws CompilerError.
 */
export async function compileCheckpoint(options: CompileOptions): Promise<CompiledModel> {
  const own = openCheckpoint(options.checkpoint, options.verified);
  const { dense } = options;
  const checkpoint = dense === undefined ? own : joinedCheckpoint(own, DENSE, openCheckpoint(dense.checkpoint));
  // OpenAI's files contain their config; a config.json next to them may be for another size.
  const described = checkpoint.dims === undefined ? options.config : configFromDims(checkpoint.dims);
  if (described === undefined)
    throw new CompilerError('CONFIG_UNSUPPORTED', 'Expected config.json next to the checkpoint, got none.');
  const architecture = architectureOf(described);
  const config = readerOf(architecture, described, dense);
  const renaming = architecture.renaming(checkpoint);
  assertTensors(architecture, { config, checkpoint, renaming, unused: architecture.unused(described) });
  const weights = new Weights(checkpoint, renaming);
  try {
    const graphs: CompiledGraph[] = [];
    let outputs: Values = {};
    for (const [index, plan] of architecture.graphs.entries()) {
      const onPhase: OnPhase = (phase, share) =>
        options.onStep?.({ role: plan.role, phase, share, graph: index + 1, graphs: architecture.graphs.length });
      const { graph, reference } = await compileGraph(plan, { weights, config, options }, outputs, onPhase);
      graphs.push(graph);
      outputs = { ...outputs, ...reference };
    }
    return { modelType: String(described.model_type), graphs };
  } finally {
    weights.close();
  }
}

/** Scores of a vocabulary differ by less than half precision can represent. */
const HALF_PRECISION: Recipe = { ...uniformRecipe('float16'), vocabulary: 'float32' };

/** Threshold for half precision; below it (values beyond its range) the graph is in float32. */
const HALF_MIN_COSINE = 0.9999;

interface Done {
  readonly graph: CompiledGraph;
  readonly reference: Values;
}

/** What all graphs of a model are compiled from. */
interface Sources {
  readonly weights: Weights;
  readonly config: ConfigReader;
  readonly options: CompileOptions;
}

/** Compiles a graph in the fastest recipe that is close enough to float32. `outputs` are the float32 outputs of the graphs before it. */
async function compileGraph(
  plan: GraphPlan,
  { weights, config, options }: Sources,
  outputs: Values,
  onPhase: OnPhase,
): Promise<Done> {
  const { role, comparison, roundProbe } = plan;
  const { dir, precision, overflowSafe, emptyText = [] } = options;
  const build = (recipe: Recipe, inputPeaks?: InputPeaks) => {
    onPhase('build', 0);
    return buildGraph(plan, { weights, config, recipe, overflowSafe, dir, inputPeaks });
  };
  const inFloat32 = (reference: Values): Done => {
    const recipe = uniformRecipe('float32');
    return { graph: { role, files: build(recipe).files, recipe }, reference };
  };
  if (precision === 'fp32') return inFloat32({});
  const recipes = precision === 'fp16' ? [HALF_PRECISION] : plan.recipes;
  const minCosine = precision === 'fp16' ? HALF_MIN_COSINE : plan.minCosine;
  const probe = plan.probe(config, outputs, emptyText);
  const onFloat32 = (share: number) => onPhase('float32', share);
  const { answers: reference, inputPeaks } = await runFloat32(plan, weights, config, probe, dir, onFloat32);
  if (precision === 'int8') roundProbe?.(probe);
  for (const recipe of recipes) {
    const { files, layered } = build(recipe, inputPeaks);
    const answers = await runWritten(layered, role, probe, dir, (share) => onPhase('compare', share));
    const cosine = comparison(reference, answers, probe);
    if (cosine >= minCosine) return { graph: { role, files, recipe, cosine }, reference };
    for (const { name } of files) rmSync(join(dir, name));
  }
  return inFloat32(reference);
}
