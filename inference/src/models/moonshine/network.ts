import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { readGraphFacts } from '../../onnx/index.js';
import type { LoadOptions } from '../model.js';
import { openSession } from '../session.js';

/** What one utterance said, in tokens. */
export interface Decoded {
  /** Without the start and end tokens. */
  readonly tokens: readonly number[];
  /** Sum of the natural logarithms of the tokens' probabilities, the end token's included. */
  readonly sumLogProb: number;
}

export interface DecoderTokens {
  readonly start: number;
  readonly end: number;
}

/**
 * Moonshine's two graphs: an encoder that takes samples as they are, at their true length, and a decoder with a key-value
 * cache ("merged": one graph for the first step and the later ones).
 */
export class MoonshineNetwork {
  readonly #encoder: InferenceSession;
  readonly #decoder: InferenceSession;
  /** Names and shapes of the cache, as the decoder's inputs declare them. */
  readonly #cache: readonly CacheInput[];
  #closed = false;

  private constructor(encoder: InferenceSession, decoder: InferenceSession, cache: readonly CacheInput[]) {
    this.#encoder = encoder;
    this.#decoder = decoder;
    this.#cache = cache;
  }

  static async open(encoderPath: string, decoderPath: string, options: LoadOptions): Promise<MoonshineNetwork> {
    const encoder = await openSession(encoderPath, options);
    try {
      return new MoonshineNetwork(encoder, await openSession(decoderPath, options), cacheInputs(decoderPath));
    } catch (error) {
      await encoder.release();
      throw error;
    }
  }

  /**
   * Greedy decoding of one utterance of 16 kHz samples. `beforeStep` runs before each step: it may throw to end the work.
   * At most `maxTokens` tokens.
   */
  async decode(
    samples: Float32Array,
    tokens: DecoderTokens,
    maxTokens: number,
    beforeStep: () => Promise<void>,
  ): Promise<Decoded> {
    await beforeStep();
    const encoded = await this.#encoder.run({ input_values: new Tensor('float32', samples, [1, samples.length]) });
    const states = required(encoded, this.#encoder.outputNames[0] ?? 'last_hidden_state');
    const cache = emptyCache(this.#cache);
    const said: number[] = [];
    let sumLogProb = 0;
    let last = tokens.start;
    for (let step = 0; step < maxTokens; step += 1) {
      await beforeStep();
      const outputs = await this.#decoder.run({
        ...cache,
        input_ids: new Tensor('int64', BigInt64Array.of(BigInt(last)), [1, 1]),
        encoder_hidden_states: states,
        use_cache_branch: new Tensor('bool', Uint8Array.of(step === 0 ? 0 : 1), [1]),
      });
      const best = argmax(required(outputs, 'logits').data as Float32Array);
      sumLogProb += best.logProb;
      if (best.token === tokens.end) break;
      said.push(best.token);
      last = best.token;
      for (const { name, ofEncoder } of this.#cache) {
        // The encoder's keys and values are computed by the first step; the later ones pass them through empty.
        if (step === 0 || !ofEncoder) cache[name] = required(outputs, name.replace('past_key_values', 'present'));
      }
    }
    return { tokens: said, sumLogProb };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.all([this.#encoder.release(), this.#decoder.release()]);
  }
}

interface CacheInput {
  readonly name: string;
  readonly heads: number;
  readonly headSize: number;
  readonly ofEncoder: boolean;
}

function cacheInputs(decoderPath: string): readonly CacheInput[] {
  const found: CacheInput[] = [];
  for (const { name, dims } of readGraphFacts(decoderPath).inputs) {
    if (!name.startsWith('past_key_values.')) continue;
    const [, heads, , headSize] = dims ?? [];
    if (typeof heads !== 'number' || typeof headSize !== 'number') {
      throw new Error(
        `Expected ${decoderPath} to fix the heads and head size of ${name}, got ${JSON.stringify(dims)}.`,
      );
    }
    found.push({ name, heads, headSize, ofEncoder: name.includes('.encoder.') });
  }
  if (found.length === 0)
    throw new Error(`Expected ${decoderPath} to be a merged decoder with past_key_values inputs.`);
  return found;
}

function emptyCache(inputs: readonly CacheInput[]): Record<string, Tensor> {
  const nothing = new Float32Array(0);
  return Object.fromEntries(
    inputs.map(({ name, heads, headSize }) => [name, new Tensor('float32', nothing, [1, heads, 0, headSize])]),
  );
}

function required(outputs: InferenceSession.ReturnType, name: string): Tensor {
  const tensor = outputs[name];
  if (tensor === undefined)
    throw new Error(`Expected the graph to give ${name}, got ${Object.keys(outputs).join(', ')}.`);
  return tensor;
}

function argmax(logits: Float32Array): { readonly token: number; readonly logProb: number } {
  let token = 0;
  let highest = Number.NEGATIVE_INFINITY;
  for (let at = 0; at < logits.length; at += 1) {
    const value = logits[at] as number;
    if (value > highest) {
      highest = value;
      token = at;
    }
  }
  let sum = 0;
  for (let at = 0; at < logits.length; at += 1) sum += Math.exp((logits[at] as number) - highest);
  return { token, logProb: -Math.log(sum) };
}
