import { InferenceError } from '../../errors.js';
import { loadTokenizer, type TextTokenizer, type TokenizedText } from '../../tokenizer/index.js';
import type { TextItem, VectorResult } from '../items.js';
import type { LoadedModel, LoadOptions, ModelFacts, ModelFiles, Outcome, RunContext } from '../model.js';
import { cancelled, isWanted, UNCANCELLED } from '../outcomes.js';
import { findBeside } from '../repository.js';
import { normalize } from '../vectors.js';
import { SentenceNetwork } from './network.js';
import { packTexts, planBatches, readSentenceRecipe, type SentenceRecipe, tokenizeText } from './preprocess.js';

/** Texts of one call to run(): the more there are, the less padding their batches need. */
const MAX_ITEMS = 64;

/**
 * Loads a sentence embedder: the weights `model`, the tokenizer, and the pooling its repository describes. Throws when a
 * file is missing, broken, or asks for a step that is not known.
 */
export async function load(files: ModelFiles, options: LoadOptions): Promise<LoadedModel<TextItem, VectorResult>> {
  const path = files.weights.model;
  if (path === undefined) {
    throw new Error(`Expected ${files.id} to have weights named model, got ${Object.keys(files.weights).join(', ')}.`);
  }
  const tokenizerPath = await findBeside(files.dir, path, 'tokenizer.json');
  if (tokenizerPath === undefined) throw new Error(`Expected ${files.id} to have a tokenizer.json in ${files.dir}.`);
  const recipe = await readSentenceRecipe(files, path);
  const tokenizer = await loadTokenizer(tokenizerPath, await findBeside(files.dir, path, 'tokenizer_config.json'));
  const network = await SentenceNetwork.open(path, recipe, options);
  const model = new SentenceEmbedder(network, tokenizer, recipe);
  await model.measure();
  return model;
}

interface Waiting {
  readonly item: TextItem;
  readonly place: number;
  readonly text: TokenizedText;
}

class SentenceEmbedder implements LoadedModel<TextItem, VectorResult> {
  readonly #network: SentenceNetwork;
  readonly #tokenizer: TextTokenizer;
  readonly #recipe: SentenceRecipe;
  #dimensions = 0;

  constructor(network: SentenceNetwork, tokenizer: TextTokenizer, recipe: SentenceRecipe) {
    this.#network = network;
    this.#tokenizer = tokenizer;
    this.#recipe = recipe;
  }

  get facts(): ModelFacts {
    const { shared } = this.#network;
    const reason = shared
      ? 'the graph treats each text by itself, so texts of nearly one length share a run'
      : 'the int8 graph scales its activations over a whole batch, so each text runs alone and its vector is always the same';
    return { dimensions: this.#dimensions, batching: { shared, maxItems: MAX_ITEMS, reason } };
  }

  /** Finds the length of the vectors by a first run, for not every graph says it. */
  async measure(): Promise<void> {
    const [outcome] = await this.run([{ type: 'text', text: 'warm', normalize: true, truncate: true }], UNCANCELLED);
    this.#dimensions = outcome?.ok === true ? outcome.value.vector.length : 0;
  }

  async warmUp(): Promise<void> {
    await this.measure();
  }

  async run(items: readonly TextItem[], context: RunContext): Promise<readonly Outcome<VectorResult>[]> {
    const outcomes: Outcome<VectorResult>[] = items.map(() => cancelled());
    const waiting: Waiting[] = [];
    for (const [place, item] of items.entries()) {
      if (!isWanted(context, place)) continue;
      const text = tokenizeText(item.text, this.#tokenizer, this.#recipe);
      if (text.truncated && !item.truncate) outcomes[place] = { ok: false, error: tooLong(text.ids.length) };
      else waiting.push({ item, place, text });
    }
    for (const batch of this.#share(waiting)) {
      await context.yieldToEventLoop();
      const wanted = batch.filter(({ place }) => isWanted(context, place));
      if (wanted.length > 0) await this.#embed(wanted, outcomes);
      for (const { place } of wanted) context.settled?.(place, outcomes[place] as Outcome<VectorResult>);
    }
    return outcomes;
  }

  close(): Promise<void> {
    return this.#network.close();
  }

  #share(waiting: readonly Waiting[]): readonly (readonly Waiting[])[] {
    if (!this.#network.shared) return waiting.map((one) => [one]);
    return planBatches(waiting.map(({ text }) => text.ids.length)).map((places) =>
      places.map((place) => waiting[place] as Waiting),
    );
  }

  async #embed(batch: readonly Waiting[], outcomes: Outcome<VectorResult>[]): Promise<void> {
    const packed = packTexts(
      batch.map(({ text }) => text),
      this.#tokenizer.padId ?? 0,
    );
    const vectors = await this.#network.run(packed);
    batch.forEach(({ item, place, text }, row) => {
      const vector = vectors[row] as Float32Array;
      outcomes[place] = {
        ok: true,
        value: {
          vector: item.normalize ? normalize(vector) : vector,
          tokenCount: text.ids.length,
          truncated: text.truncated,
        },
      };
    });
  }
}

function tooLong(limit: number): InferenceError {
  return new InferenceError(
    'TEXT_TOO_LONG',
    `Expected a text of at most ${limit} tokens, got a longer one. Shorten it, or set truncate to have its end left out.`,
  );
}
