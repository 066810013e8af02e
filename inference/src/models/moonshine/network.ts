import { once } from '@heimdex/common';
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import type { DecoderSizes } from '../decoding/decoder.js';
import { MergedDecoder } from '../decoding/merged-decoder.js';
import { indexOfHighest, logSumExp } from '../decoding/scores.js';
import type { ItemContext, LoadOptions } from '../model.js';
import { openSession } from '../session/open-session.js';

/** The tokens of one utterance. */
export interface Decoded {
  /** Without the start and end tokens. */
  readonly tokens: readonly number[];
  /** Sum of the tokens' natural log-probabilities, including the end token. */
  readonly sumLogProb: number;
}

export interface DecoderTokens {
  readonly start: number;
  readonly end: number;
}

/** Moonshine's two graphs: an encoder for raw samples at their true length, and a merged decoder. */
export class MoonshineNetwork {
  readonly close = once(async () => {
    await Promise.all([this.encoder.release(), this.decoder.close()]);
  });

  private constructor(
    private readonly encoder: InferenceSession,
    private readonly decoder: MergedDecoder,
  ) {}

  static async open(
    encoderPath: string,
    decoderPath: string,
    sizes: DecoderSizes,
    options: LoadOptions,
  ): Promise<MoonshineNetwork> {
    const encoder = await openSession(encoderPath, options);
    try {
      return new MoonshineNetwork(encoder, await MergedDecoder.open(decoderPath, sizes, options));
    } catch (error) {
      await encoder.release();
      throw error;
    }
  }

  /** Greedy decoding of one utterance of 16 kHz samples, up to `maxTokens` tokens. */
  async decode(
    samples: Float32Array,
    { start, end }: DecoderTokens,
    maxTokens: number,
    context: ItemContext,
  ): Promise<Decoded> {
    await context.yieldToEventLoop();
    const encoded = await this.encoder.run({ input_values: new Tensor('float32', samples, [1, samples.length]) });
    const tokens: number[] = [];
    let sumLogProb = 0;
    await context.yieldToEventLoop();
    let output = await this.decoder.start({ states: encoded[this.encoder.outputNames[0] ?? ''] as Tensor }, [[start]]);
    for (;;) {
      const logits = output.logits(0);
      const token = indexOfHighest(logits);
      sumLogProb += (logits[token] ?? 0) - logSumExp(logits);
      if (token === end) break;
      tokens.push(token);
      if (tokens.length >= maxTokens) break;
      await context.yieldToEventLoop();
      output = await this.decoder.step(output.state, [token]);
    }
    return { tokens, sumLogProb };
  }
}
