import { InferenceError } from '../../errors.js';
import { isObject, type JsonObject, readJsonObject } from '../../json.js';
import { configureImageDecoding } from '../../media/images/index.js';
import type { ImageItem, TextItem, VectorResult } from '../items.js';
import type { LoadedModel, LoadOptions, ModelFacts, ModelFiles, Outcome, RunContext } from '../model.js';
import { failed } from '../outcomes.js';
import { findBeside, openTokenizer, readBeside } from '../repository.js';
import { ImageEmbedder } from './images.js';
import { readImageRecipe, readTextRecipe, textTokenizerOptions } from './preprocess.js';
import { configFromStages } from './stages.js';
import { TextEmbedder } from './texts.js';
import { Tower } from './tower.js';

type Item = ImageItem | TextItem;

/** Items per call of run() if they share runs of the graph: enough to hide decoding the next images behind the run of the first. */
const MAX_ITEMS = 32;

/**
 * Loads the towers that `files` has weights for, `vision`, `text` or both. Throws when a file is missing or invalid,
 * and for an unsupported kind of SigLIP (NaFlex).
 */
export async function load(files: ModelFiles, options: LoadOptions): Promise<LoadedModel<Item, VectorResult>> {
  const { vision, text } = files.weights;
  if (vision === undefined && text === undefined) {
    throw new Error(
      `Expected ${files.id} to have weights named vision or text, got ${Object.keys(files.weights).join(', ')}.`,
    );
  }
  const images = vision === undefined ? undefined : await openImages(files, vision, options);
  try {
    const texts = text === undefined ? undefined : await openTexts(files, text, options);
    const model = new Siglip(images, texts);
    await model.measure();
    return model;
  } catch (error) {
    await images?.close();
    throw error;
  }
}

async function openImages(files: ModelFiles, path: string, options: LoadOptions): Promise<ImageEmbedder> {
  configureImageDecoding();
  const config = await imageConfigOf(files, path);
  // Before reading weights, so that an unsupported model fails at once.
  readImageRecipe(config, 1);
  const tower = await Tower.open(path, 'pixel_values', options);
  const recipe = readImageRecipe(config, tower.fixedSize);
  const { width, height } = recipe;
  if (tower.fixedSize !== undefined && (width !== tower.fixedSize || height !== tower.fixedSize)) {
    await tower.close();
    throw new Error(
      `Expected preprocessor_config.json to give images of ${tower.fixedSize} x ${tower.fixedSize}, as the model takes them, got ${width} x ${height}.`,
    );
  }
  return new ImageEmbedder(tower, recipe, options);
}

/** The image preprocessing recipe in either of its forms; empty if the repository has none. */
async function imageConfigOf(files: ModelFiles, weights: string): Promise<JsonObject> {
  const usual = await findBeside(files.dir, weights, 'preprocessor_config.json');
  if (usual !== undefined) return readJsonObject(usual);
  // transformers 5 writes one file for images and texts.
  const joint = await readBeside(files.dir, weights, 'processor_config.json');
  if (isObject(joint.image_processor)) return joint.image_processor;
  const stages = await findBeside(files.dir, weights, 'preprocessor.json');
  return stages === undefined ? {} : configFromStages(await readJsonObject(stages));
}

async function openTexts(files: ModelFiles, path: string, options: LoadOptions): Promise<TextEmbedder> {
  const tokenizerConfig = await readBeside(files.dir, path, 'tokenizer_config.json');
  const tokenizer = await openTokenizer(files, path, textTokenizerOptions(tokenizerConfig));
  const recipe = readTextRecipe(tokenizer, await readBeside(files.dir, path, 'config.json'), tokenizerConfig);
  return new TextEmbedder(await Tower.open(path, 'input_ids', options), recipe);
}

class Siglip implements LoadedModel<Item, VectorResult> {
  #facts: ModelFacts;

  constructor(
    private readonly images: ImageEmbedder | undefined,
    private readonly texts: TextEmbedder | undefined,
  ) {
    const shared = images?.shared !== false && texts?.shared !== false;
    this.#facts = {
      dimensions: 0,
      batching: {
        shared,
        maxItems: shared ? MAX_ITEMS : 1,
        reason: shared
          ? 'the graph treats each item by itself, so items share a run'
          : 'the int8 graph scales its activations over a whole batch, so each item runs alone and its vector is always the same',
      },
    };
  }

  get facts(): ModelFacts {
    return this.#facts;
  }

  /** Determines the vectors' dimensions with a first run, because not every graph declares them. */
  async measure(): Promise<void> {
    const probed = [await this.images?.probe(), await this.texts?.probe()];
    const lengths = probed.filter((length) => length !== undefined);
    const [dimensions = 0] = lengths;
    if (lengths.some((length) => length !== dimensions)) {
      throw new Error(`Expected both towers to give vectors of one length, got ${lengths.join(' and ')}.`);
    }
    this.#facts = { ...this.#facts, dimensions };
  }

  /** Every graph has run: `measure` did it. For a large model a second run takes seconds of the start. */
  async warmUp(): Promise<void> {}

  async run(items: readonly Item[], context: RunContext): Promise<readonly Outcome<VectorResult>[]> {
    // All items of a batch have the first one's type: `kind` in spec.ts.
    const isImages = items[0]?.type === 'image';
    const outcomes = isImages
      ? this.images?.run(items as readonly ImageItem[], context)
      : this.texts?.run(items as readonly TextItem[], context);
    return outcomes ?? items.map(() => failed(towerMissing(isImages ? 'images' : 'texts')));
  }

  async close(): Promise<void> {
    await this.images?.close();
    await this.texts?.close();
  }
}

function towerMissing(what: string): InferenceError {
  return new InferenceError('FEATURE_DISABLED', `This model was loaded without its tower for ${what}.`);
}
