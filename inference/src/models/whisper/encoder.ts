import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { dependsOnCompany, fuseAttention, scaleRows } from '../../onnx/index.js';
import type { LoadOptions } from '../model.js';
import { openRewrittenSession, type Rewriting } from '../rewritten-session.js';
import { FREE_LENGTH, freeEncoderLength } from './encoder-graph.js';
import { WINDOW_FRAMES } from './mel.js';

/** What is changed of an encoder's graph. */
export const ENCODER_REWRITING: Rewriting = {
  version: 'whisper-encoder-4',
  change(model, read) {
    const freed = freeEncoderLength(model.graph);
    const fused = fuseAttention(model) > 0;
    return scaleRows(model, read) > 0 || fused || freed;
  },
};

/** The encoder: a log-mel spectrogram in, one vector for every 20 ms out. */
export class Encoder {
  readonly #session: InferenceSession;
  readonly #melCount: number;
  /** Whether it takes fewer than the 3000 frames of a whole window. */
  readonly anyLength: boolean;

  /** Whether a window's vectors depend on which others are encoded beside it. */
  readonly dependsOnCompany: boolean;

  private constructor(session: InferenceSession, melCount: number, anyLength: boolean, company: boolean) {
    this.dependsOnCompany = company;
    this.#session = session;
    this.#melCount = melCount;
    this.anyLength = anyLength;
  }

  static async open(path: string, melCount: number, options: LoadOptions): Promise<Encoder> {
    const { session, facts } = await openRewrittenSession(path, options, ENCODER_REWRITING);
    const frames = facts.inputs.find(({ name }) => name === 'input_features')?.dims?.at(-1);
    if (!session.inputNames.includes('input_features') || !session.outputNames.includes('last_hidden_state')) {
      await session.release();
      throw new Error(`Expected ${path} to be a Whisper encoder, got inputs ${session.inputNames.join(', ')}.`);
    }
    return new Encoder(session, melCount, frames === FREE_LENGTH, dependsOnCompany(facts));
  }

  /** `mel` is [melCount, frames] row by row; frames are 3000 unless `anyLength`. Gives [1, frames / 2, width]. */
  async run(mel: Float32Array): Promise<Tensor> {
    const frames = mel.length / this.#melCount;
    if (frames !== WINDOW_FRAMES && !this.anyLength)
      throw new Error(`Expected ${WINDOW_FRAMES} frames, got ${frames}.`);
    const outputs = await this.#session.run({
      input_features: new Tensor('float32', mel, [1, this.#melCount, frames]),
    });
    return outputs.last_hidden_state as Tensor;
  }

  close(): Promise<void> {
    return this.#session.release();
  }
}
