import { type Comparison, compareLogits, compareRows, compareTexts, compareWhole } from '../check/comparison.js';
import type { Values } from '../check/layerwise.js';
import {
  bertProbe,
  type Probe,
  roundCross,
  siglipTextProbe,
  siglipVisionProbe,
  whisperCrossProbe,
  whisperDecoderProbe,
  whisperEncoderProbe,
} from '../check/probes.js';
import { type Checkpoint, shown } from '../checkpoint/checkpoint.js';
import { type ExpectedUnused, type Renaming, withoutPrefix } from '../checkpoint/weights.js';
import { CompilerError } from '../errors.js';
import { type Recipe, uniformRecipe } from '../graph/forms.js';
import type { Layers } from '../graph/layers.js';
import { BERT_PREFIXES, bertUnused, buildBert, currentBertName } from './bert.js';
import { type Config, ConfigReader } from './config.js';
import { DENSE, type DenseModule } from './dense.js';
import * as distilbert from './distilbert.js';
import * as mpnet from './mpnet.js';
import { buildSiglipText, buildSiglipVision, SIGLIP_UNUSED } from './siglip.js';
import { buildWhisperCross, buildWhisperEncoder, WHISPER_PREFIXES, WHISPER_UNUSED } from './whisper.js';
import { buildWhisperDecoder } from './whisper-decoder.js';
import { fromOpenAi } from './whisper-names.js';

/** One graph of a compiled model. */
export interface GraphPlan {
  /** Name of its file in the server's model families: `encoder`, `vision`, `model`. */
  readonly role: string;
  readonly build: (layers: Layers, config: ConfigReader) => void;
  /** 8-bit recipes from the fastest to the finest; float32 follows the last. */
  readonly recipes: readonly Recipe[];
  readonly probe: Probe;
  /** Rounds what the server feeds to an 8-bit graph in fewer bits. */
  readonly roundProbe?: (probe: Values) => void;
  /** How to compare its outputs with float32. */
  readonly comparison: Comparison;
  /** Minimum cosine to float32; below it the next finer recipe is used. */
  readonly minCosine: number;
}

/** A supported architecture. */
export interface Architecture {
  readonly graphs: readonly GraphPlan[];
  /** Tensors that its graphs do not need, by config.json. */
  unused(config: Config): ExpectedUnused;
  /** config.json in the builders' words. Default: as it is. */
  configOf?(config: Config): Config;
  renaming(checkpoint: Checkpoint): Renaming;
}

const ROW: Recipe = { ...uniformRecipe('row'), head: 'row2', vocabulary: 'nb8' };
const ROW2: Recipe = { ...uniformRecipe('row2'), vocabulary: 'nb8' };
/** As row, with the few inputs that are sensitive in float32: the fastest for long texts. */
const OUTLIERS: Recipe = uniformRecipe('rowf');
/** Nearer to float32: the second feed-forward product has most of the rounding error. */
const FINER_OUTLIERS: Recipe = { ...OUTLIERS, 'feed-forward 2': 'row3' };
const FINE_ROW: Recipe = { ...ROW2, 'attention input': 'row3', 'feed-forward 1': 'row3' };
/** Nearly exact, and half as much again as ROW2. */
const ROW3: Recipe = { ...uniformRecipe('row3'), vocabulary: 'nb8' };
const BLOCKS: Recipe = uniformRecipe('nb8');
/**
 * For single tokens. Products in blocks (MatMulNBits) are no more exact, and their packed weights cannot be shared among processes. Most
 * of the rounding that shows in the scores is the vocabulary's.
 */
const SMOOTH: Recipe = { ...uniformRecipe('smooth'), vocabulary: 'smooth2' };
const SMOOTH2: Recipe = uniformRecipe('smooth2');
const ROWS_OR_FINER: readonly Recipe[] = [ROW, ROW2, FINE_ROW, ROW3];

/** Tensors' names without prefixes of wrappers and one of `prefixes`, then in the builders' words. */
function renamed(prefixes: readonly string[], nameOf: Renaming): Architecture['renaming'] {
  return (checkpoint) => {
    const strip = withoutPrefix(checkpoint, prefixes);
    return (name) => nameOf(strip(name));
  };
}

const bert: Architecture = {
  graphs: [
    {
      role: 'model',
      build: buildBert,
      recipes: [OUTLIERS, FINER_OUTLIERS, ROW3],
      probe: bertProbe,
      comparison: compareTexts,
      // Other texts of MiniLM come out up to 0.0005 lower than those of the probe.
      minCosine: 0.9994,
    },
  ],
  unused: bertUnused,
  renaming: renamed(BERT_PREFIXES, currentBertName),
};

/** A BERT whose config.json and tensors have names of their own. */
function inWordsOfBert(names: Pick<typeof distilbert, 'bertConfigOf' | 'bertNameOf'>): Architecture {
  return { ...bert, configOf: names.bertConfigOf, renaming: renamed(BERT_PREFIXES, names.bertNameOf) };
}

/** By `model_type` of config.json. */
const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  whisper: {
    graphs: [
      {
        role: 'encoder',
        build: buildWhisperEncoder,
        recipes: ROWS_OR_FINER,
        probe: whisperEncoderProbe,
        comparison: compareWhole,
        // Transcripts are unchanged at 0.995; the threshold leaves a margin for the noisy probe.
        minCosine: 0.993,
      },
      {
        role: 'cross',
        build: buildWhisperCross,
        recipes: ROWS_OR_FINER,
        probe: whisperCrossProbe,
        comparison: compareWhole,
        minCosine: 0.997,
      },
      {
        role: 'decoder',
        build: buildWhisperDecoder,
        recipes: [SMOOTH, SMOOTH2, BLOCKS, ROW3],
        probe: whisperDecoderProbe,
        roundProbe: roundCross,
        comparison: compareLogits,
        // Whisper base has 0.9983 (0.9979 on CPUs without VNNI); other random words move it by 0.0003.
        minCosine: 0.997,
      },
    ],
    unused: () => WHISPER_UNUSED,
    renaming: renamed(WHISPER_PREFIXES, fromOpenAi),
  },
  siglip: {
    graphs: [
      {
        role: 'vision',
        build: buildSiglipVision,
        recipes: ROWS_OR_FINER,
        probe: siglipVisionProbe,
        comparison: compareRows,
        minCosine: 0.9995,
      },
      {
        role: 'text',
        build: buildSiglipText,
        recipes: ROWS_OR_FINER,
        probe: siglipTextProbe,
        comparison: compareRows,
        minCosine: 0.9995,
      },
    ],
    unused: () => SIGLIP_UNUSED,
    renaming: renamed([], (name) => name),
  },
  bert,
  'xlm-roberta': bert,
  roberta: bert,
  camembert: bert,
  distilbert: inWordsOfBert(distilbert),
  mpnet: inWordsOfBert(mpnet),
};

/** config.json as the builders read it, with the layer behind a sentence embedder's pooling. */
export function readerOf(
  architecture: Architecture,
  config: Config,
  dense: Pick<DenseModule, 'config' | 'pooling'> | undefined,
): ConfigReader {
  return new ConfigReader({ ...(architecture.configOf?.(config) ?? config), [DENSE]: dense });
}

/** Supported values of `model_type`. */
export const MODEL_TYPES: readonly string[] = Object.keys(ARCHITECTURES);

/** Returns how to compile a checkpoint with this config.json. Throws CONFIG_UNSUPPORTED. */
export function architectureOf(config: Config): Architecture {
  const type = config.model_type;
  const found = typeof type === 'string' && Object.hasOwn(ARCHITECTURES, type) ? ARCHITECTURES[type] : undefined;
  if (found === undefined) {
    throw new CompilerError(
      'CONFIG_UNSUPPORTED',
      `Expected model_type of config.json to be ${MODEL_TYPES.join(', ')}, got ${shown(JSON.stringify(type) ?? 'nothing')}.`,
    );
  }
  return found;
}
