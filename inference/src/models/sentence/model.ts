import { InferenceError } from '../../errors.js';
import type { TextTokenizer, TokenizedText } from '../../tokenizer/index.js';
import type { TextItem, VectorResult } from '../items.js';
import type { LoadedModel, LoadOptions, ModelFacts, ModelFiles, Outcome, RunContext } from '../model.js';
import { cancelled, isWaitedFor, textError } from '../outcomes.js';
import { openTokenizer, weightsOf } from '../repository.js';
import { finishVector } from '../vectors.js';
import { SentenceNetwork } from './network.js';
import {
  packTexts,
  planBatches,
  readSentenceRecipe,
  type SentenceRecipe,
  tokenizeText,
  tokenLimit,
} from './preprocess.js';

/** Texts per call of run() if they share runs of the graph: more texts per call need less padding. */
const MAX_ITEMS = 64;
/** ONNX Runtime rounds the product of one row otherwise than that of several: without padding, a lone text of one token had another vector. */
const MIN_TOKENS = 2;

/**
 * Loads a sentence embedder: the weights `model`, the tokenizer, and the pooling described in its repository. Throws
 * when a file is missing, invalid, or needs an unknown step.
 */
export async function load(files: ModelFiles, options: LoadOptions): Promise<LoadedModel<TextItem, VectorResult>> {
  const { model: path } = weightsOf(files, 'model');
  const recipe = await readSentenceRecipe(files, path);
  const tokenizer = await openTokenizer(files, path, recipe.tokenizer);
  const network = await SentenceNetwork.open(path, recipe, options);
  const model = new SentenceEmbedder(network, tokenizer, recipe, options.device);
  await model.measure();
  return model;
}

interface Waiting {
  readonly item: TextItem;
  readonly index: number;
  readonly text: TokenizedText;
}

class SentenceEmbedder implements LoadedModel<TextItem, VectorResult> {
  #dimensions = 0;

  constructor(
    private readonly network: SentenceNetwork,
    private readonly tokenizer: TextTokenizer,
    private readonly recipe: SentenceRecipe,
    private readonly device: LoadOptions['device'],
  ) {}

  get facts(): ModelFacts {
    const { shared } = this.network;
    const reason = shared
      ? 'the graph treats each text by itself, so texts of nearly one length share a run'
      : 'the graph takes no mask, or scales int8 activations over a whole batch, so each text runs alone and its vector is always the same';
    return { dimensions: this.#dimensions, batching: { shared, maxItems: shared ? MAX_ITEMS : 1, reason } };
  }

  /** Determines the vectors' dimensions with a first run, because not every graph declares them. */
  async measure(): Promise<void> {
    // Any network has token 0; the tokens of a word may be none, or not the network's.
    const [vector] = await this.network.run(packTexts([[0]], 0));
    this.#dimensions = vector?.slice(0, this.recipe.dimensions).length ?? 0;
  }

  /** The graph has run: `measure` did it. */
  async warmUp(): Promise<void> {}

  async run(items: readonly TextItem[], context: RunContext): Promise<readonly Outcome<VectorResult>[]> {
    const outcomes: Outcome<VectorResult>[] = [];
    const waiting: Waiting[] = [];
    const { vocabulary } = this.recipe;
    const limits = { length: tokenLimit(this.tokenizer, this.recipe), vocabulary };
    for (const [index, item] of items.entries()) {
      if (!isWaitedFor(context, index)) continue;
      const text = tokenizeText(item.text, this.tokenizer, this.recipe);
      const error = textError(text, item.truncate, limits) ?? emptyError(text);
      if (error === undefined) waiting.push({ item, index, text });
      else outcomes[index] = { ok: false, error };
    }
    for (const [position, batch] of this.#share(waiting).entries()) {
      // Not before the first: a yield costs the server a message, a quarter of the time around a short text.
      if (position > 0) await context.yieldToEventLoop();
      const wanted = batch.filter(({ index }) => isWaitedFor(context, index));
      if (wanted.length > 0) await this.#embed(wanted, outcomes);
      for (const { index } of wanted) context.settled?.(index, outcomes[index] as Outcome<VectorResult>);
    }
    // Made for those alone: an error with its stack costs 3 to 6 µs.
    return items.map((_, index) => outcomes[index] ?? cancelled());
  }

  close(): Promise<void> {
    return this.network.close();
  }

  #share(waiting: readonly Waiting[]): readonly (readonly Waiting[])[] {
    if (!this.network.shared) return waiting.map((one) => [one]);
    const lengths = waiting.map(({ text }) => text.ids.length);
    return planBatches(lengths, this.device).map((indices) => indices.map((index) => waiting[index] as Waiting));
  }

  async #embed(batch: readonly Waiting[], outcomes: Outcome<VectorResult>[]): Promise<void> {
    const padding = this.tokenizer.padId ?? 0;
    const packed = packTexts(
      batch.map(({ text }) => text.ids),
      // It is not read; a padding token that was added to the tokenizer alone is beyond the network's tokens.
      padding < this.recipe.vocabulary ? padding : 0,
      this.network.shared ? MIN_TOKENS : 1,
    );
    const vectors = await this.network.run(packed);
    batch.forEach(({ item, index, text }, row) => {
      const vector = (vectors[row] as Float32Array).slice(0, this.recipe.dimensions);
      outcomes[index] = {
        ok: true,
        value: {
          vector: finishVector(vector, item.normalize),
          tokenCount: text.ids.length,
          truncated: text.truncated,
        },
      };
    });
  }
}

/** The error of a text that is nothing to the model, such as an empty one where the tokenizer adds no special tokens. */
function emptyError({ ids }: TokenizedText): InferenceError | undefined {
  if (ids.length > 0) return undefined;
  return new InferenceError(
    'INVALID_ARGUMENT',
    'Expected a text with at least one token of the model, got one without.',
  );
}
