import { type PoolingMode, SENTENCE_MODULES } from '@heimdex/cache';
import { once } from '@heimdex/common';
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { isBatchInvariant } from '../../onnx/index.js';
import type { LoadOptions } from '../model.js';
import { openRowScaled } from '../session/per-token-session.js';
import { pool } from './postprocess.js';
import type { PackedTexts, SentenceRecipe } from './preprocess.js';

/** Outputs with one vector per text, in exports that include the pooling. */
const POOLED_OUTPUTS = ['sentence_embedding', 'dense_vecs'];
/** Outputs with one vector per token. */
const TOKEN_OUTPUTS = ['last_hidden_state', 'token_embeddings', 'hidden_states'];
const MASK = 'attention_mask';
const KNOWN_INPUTS = ['input_ids', MASK, 'token_type_ids'];

/** A text encoder and its pooling: token ids in, one vector per text out. */
export class SentenceNetwork {
  readonly close = once(() => this.session.release());

  private constructor(
    private readonly session: InferenceSession,
    private readonly output: string,
    /** Undefined: the graph includes the pooling. */
    private readonly pooling: readonly PoolingMode[] | undefined,
    /** Whether texts in a run do not affect each other's vectors. */
    readonly shared: boolean,
  ) {}

  /** Throws when the graph at `path` is not a text encoder, or its repository needs an unknown step. */
  static async open(path: string, recipe: SentenceRecipe, options: LoadOptions): Promise<SentenceNetwork> {
    const { session, facts } = await openRowScaled(path, options);
    // Without a mask it would read the padding of shorter texts.
    const shared = isBatchInvariant(facts) && session.inputNames.includes(MASK);
    try {
      const unknown = session.inputNames.filter((name) => !KNOWN_INPUTS.includes(name));
      if (unknown.length > 0 || !session.inputNames.includes('input_ids')) {
        throw new Error(`Expected ${path} to take ${KNOWN_INPUTS.join(', ')}, got ${session.inputNames.join(', ')}.`);
      }
      const pooled = POOLED_OUTPUTS.find((name) => session.outputNames.includes(name));
      if (pooled !== undefined) return new SentenceNetwork(session, pooled, undefined, shared);
      const tokens = TOKEN_OUTPUTS.find((name) => session.outputNames.includes(name));
      if (tokens === undefined) {
        const names = [...POOLED_OUTPUTS, ...TOKEN_OUTPUTS].join(', ');
        throw new Error(`Expected ${path} to give one of ${names}, got ${session.outputNames.join(', ')}.`);
      }
      if (recipe.unknownModules.length > 0) {
        throw new Error(
          `Expected modules.json to name only ${SENTENCE_MODULES.join(', ')}, got ${recipe.unknownModules.join(', ')} too. ` +
            `Choose an export with the output ${POOLED_OUTPUTS[0]}, which holds all of them.`,
        );
      }
      return new SentenceNetwork(session, tokens, recipe.pooling, shared);
    } catch (error) {
      await session.release();
      throw error;
    }
  }

  /** One vector per text, not normalized. */
  async run(texts: PackedTexts): Promise<readonly Float32Array[]> {
    const dims = [texts.count, texts.length];
    const feeds: Record<string, Tensor> = { input_ids: new Tensor('int64', texts.ids, dims) };
    if (this.session.inputNames.includes(MASK)) {
      feeds[MASK] = new Tensor('int64', texts.mask, dims);
    }
    if (this.session.inputNames.includes('token_type_ids')) {
      feeds.token_type_ids = new Tensor('int64', new BigInt64Array(texts.ids.length), dims);
    }
    const output = (await this.session.run(feeds, [this.output]))[this.output];
    if (!(output?.data instanceof Float32Array)) throw new Error(`Expected ${this.output} to hold float32.`);
    return this.#vectors(output.data, texts);
  }

  #vectors(data: Float32Array, texts: PackedTexts): readonly Float32Array[] {
    const pooling = this.pooling;
    const stride = data.length / texts.count;
    return Array.from({ length: texts.count }, (_, row) => {
      const values = data.subarray(row * stride, (row + 1) * stride);
      if (pooling === undefined) return values.slice();
      return pool({ values, count: tokensOf(texts, row), size: stride / texts.length }, pooling);
    });
  }
}

function tokensOf(texts: PackedTexts, row: number): number {
  let count = 0;
  while (count < texts.length && texts.mask[row * texts.length + count] === 1n) count += 1;
  return count;
}
