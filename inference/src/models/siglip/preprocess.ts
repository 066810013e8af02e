import { resampleFilter } from '@heimdex/cache';
import { type JsonObject, numberAt, objectAt, stringAt } from '../../json.js';
import {
  decodeImage,
  decodePixels,
  type Image,
  type ImageResizer,
  type ResampleFilter,
  readImageHeader,
  type Size,
  writePlanes,
} from '../../media/images/index.js';
import type { TextTokenizer, TokenizedText, TokenizerOptions } from '../../tokenizer/index.js';
import { centerOf, sizeByShortestEdge } from './crop.js';

/** Image preprocessing of a vision tower, from preprocessor_config.json. */
export interface ImageRecipe extends Size {
  /** The shorter side after resizing, if the aspect ratio is kept and the center cropped. Absent: resized to width and height. */
  readonly shortestEdge?: number;
  readonly filter: ResampleFilter;
  readonly rescale: number;
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/**
 * Reads preprocessor_config.json; defaults are those of transformers' SiglipImageProcessor. `graphSize` is the graph's
 * fixed size, if any; used where the file has none. Throws for a model with images of any shape in patches (NaFlex),
 * which this family does not serve.
 */
export function readImageRecipe(config: JsonObject, graphSize: number | undefined): ImageRecipe {
  const processor = stringAt(config, 'image_processor_type') ?? '';
  if (processor.startsWith('Siglip2') || config.max_num_patches !== undefined) {
    throw new Error(
      `Expected a SigLIP for square images, got a NaFlex one (${processor || 'max_num_patches'}). ` +
        'Choose a repository with a size in its name, such as siglip2-base-patch16-256-ONNX.',
    );
  }
  const shortestEdge = croppedFrom(config);
  const key = shortestEdge === undefined ? 'size' : 'crop_size';
  const size = objectAt(config, key);
  const width = numberAt(size, 'width') ?? numberAt(config, key) ?? graphSize;
  const height = numberAt(size, 'height') ?? numberAt(config, key) ?? graphSize;
  if (width === undefined || height === undefined) {
    throw new Error(`Expected preprocessor_config.json to give ${key}.width and ${key}.height.`);
  }
  if (shortestEdge !== undefined && shortestEdge < Math.max(width, height)) {
    throw new Error(
      `Expected size.shortest_edge of preprocessor_config.json to be crop_size or more, got ${shortestEdge} for ${width} x ${height}.`,
    );
  }
  return {
    width,
    height,
    ...(shortestEdge === undefined ? {} : { shortestEdge }),
    filter: resampleFilter(config),
    rescale: config.do_rescale === false ? 1 : (numberAt(config, 'rescale_factor') ?? 1 / 255),
    mean: config.do_normalize === false ? [0, 0, 0] : triple(config.image_mean),
    std: config.do_normalize === false ? [1, 1, 1] : triple(config.image_std),
  };
}

/** Processors that crop; SiglipImageProcessor ignores such settings. */
const CROPPING = /^(CLIP|Bit)(Image|Feature)/;

/** `size.shortest_edge` of a processor that keeps the aspect ratio and crops; undefined for others. */
function croppedFrom(config: JsonObject): number | undefined {
  const processor = stringAt(config, 'image_processor_type') ?? stringAt(config, 'feature_extractor_type') ?? '';
  if (!CROPPING.test(processor) || config.do_center_crop === false || config.do_resize === false) return undefined;
  return numberAt(objectAt(config, 'size'), 'shortest_edge') ?? numberAt(config, 'size');
}

function triple(value: unknown): readonly [number, number, number] {
  // transformers takes one number for all three.
  if (typeof value === 'number') return [value, value, value];
  if (!Array.isArray(value)) return [0.5, 0.5, 0.5];
  const [red, green, blue] = value;
  if (typeof red !== 'number' || typeof green !== 'number' || typeof blue !== 'number') {
    throw new Error('Expected image_mean and image_std of preprocessor_config.json to be three numbers each, or one.');
  }
  return [red, green, blue];
}

/**
 * Converts an image file to `pixel_values`: 3 x height x width floats. Throws an InferenceError when it is not a
 * readable image or too large.
 */
export async function prepareImage(
  content: Uint8Array,
  recipe: ImageRecipe,
  resizer: ImageResizer,
  maxPixels: number,
): Promise<Float32Array> {
  const resized = await resizedImage(content, recipe, resizer, maxPixels);
  const values = new Float32Array(3 * recipe.width * recipe.height);
  writePlanes(resized, recipe, values);
  return values;
}

async function resizedImage(
  content: Uint8Array,
  recipe: ImageRecipe,
  resizer: ImageResizer,
  maxPixels: number,
): Promise<Image> {
  const { shortestEdge, filter } = recipe;
  if (shortestEdge === undefined) {
    const { image } = await decodeImage(content, { maxPixels, target: recipe });
    return resizer.resize(image, recipe.width, recipe.height, filter);
  }
  const header = await readImageHeader(content, maxPixels);
  const target = sizeByShortestEdge(header, shortestEdge);
  const image = await decodePixels(content, header, target);
  return resizer.resize(centerOf(image, target, recipe), recipe.width, recipe.height, filter);
}

/** Text preprocessing of a text tower. */
export interface TextRecipe {
  readonly tokenizer: TextTokenizer;
  /** All texts are padded to this many tokens; the towers were trained with the padding. */
  readonly length: number;
  /** Tokens that the tower knows; Infinity if config.json does not say. */
  readonly vocabulary: number;
  readonly padId: number;
  /** Whether the padding is before a text instead of behind it. */
  readonly padsLeft: boolean;
}

/** SigLIP's text towers read 64 tokens unless config.json says otherwise. */
const DEFAULT_LENGTH = 64;

/**
 * All SigLIPs were trained on lower case, so texts are lowercased unless `do_lower_case` of tokenizer_config.json is false: files written by
 * Gemma's tokenizer for SigLIP 2 may omit it.
 */
export function textTokenizerOptions(tokenizerConfig: JsonObject): TokenizerOptions {
  return { lowerCase: tokenizerConfig.do_lower_case !== false };
}

/** Reads config.json (`text_config`) and tokenizer_config.json. */
export function readTextRecipe(tokenizer: TextTokenizer, config: JsonObject, tokenizerConfig: JsonObject): TextRecipe {
  const tower = objectAt(config, 'text_config');
  const length = numberAt(tower, 'max_position_embeddings') ?? DEFAULT_LENGTH;
  const vocabulary = numberAt(tower, 'vocab_size') ?? Number.POSITIVE_INFINITY;
  if (tokenizer.padId === undefined) {
    throw new Error('Expected tokenizer_config.json to name the pad_token: SigLIP reads the padding.');
  }
  return { tokenizer, length, vocabulary, padId: tokenizer.padId, padsLeft: tokenizerConfig.padding_side === 'left' };
}

/** A text's token ids without padding. */
export function tokenizeText(text: string, recipe: TextRecipe): TokenizedText {
  return recipe.tokenizer.encode(text, recipe.length);
}

/** Padded ids of several texts as `input_ids`: texts x length. */
export function packIds(texts: readonly TokenizedText[], recipe: TextRecipe): BigInt64Array {
  const packed = new BigInt64Array(texts.length * recipe.length).fill(BigInt(recipe.padId));
  texts.forEach(({ ids }, row) => {
    const start = row * recipe.length + (recipe.padsLeft ? recipe.length - ids.length : 0);
    packed.set(ids.map(BigInt), start);
  });
  return packed;
}
