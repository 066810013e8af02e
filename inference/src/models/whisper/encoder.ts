import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { fuseAttention, quantizePerToken } from '../../onnx/index.js';
import type { EncodedAudio } from '../decoding/decoder.js';
import type { LoadOptions } from '../model.js';
import { type GraphTransform, openTransformedSession } from '../session/transformed-session.js';
import { choosePositions, LOG_COUNTS, MERGED, POSITIONS, ROWS } from './encoder-graph.js';
import type { Layout } from './length.js';
import { WINDOW_FRAMES } from './mel.js';

/** Transforms of an encoder's graph. */
const ENCODER_TRANSFORM: GraphTransform = {
  version: 'whisper-encoder-6',
  change(model, read) {
    const fused = fuseAttention(model) > 0;
    const chooses = choosePositions(model.graph);
    return quantizePerToken(model, read) > 0 || fused || chooses;
  },
};

/** The encoder: log-mel spectrogram in, one vector per 20 ms out. */
export class Encoder {
  /** Whether it accepts a layout. */
  readonly merges: boolean;

  private constructor(
    private readonly session: InferenceSession,
    private readonly melCount: number,
  ) {
    this.merges = session.inputNames.includes(MERGED);
  }

  static async open(path: string, melCount: number, options: LoadOptions): Promise<Encoder> {
    const { session } = await openTransformedSession(path, options, ENCODER_TRANSFORM);
    if (!session.inputNames.includes('input_features') || !session.outputNames.includes('last_hidden_state')) {
      await session.release();
      throw new Error(`Expected ${path} to be a Whisper encoder, got inputs ${session.inputNames.join(', ')}.`);
    }
    return new Encoder(session, melCount);
  }

  /**
   * Encodes `mel`, [melCount, frames] in row-major order. `frames` is 3000, or the layout's count where `merges` is
   * set. Returns 1500 rows, or the layout's rows with the number of positions each represents, followed by padding rows
   * with count 0. The padding lets utterances of similar length be decoded together.
   */
  async run(mel: Float32Array, layout?: Layout): Promise<EncodedAudio> {
    const frames = mel.length / this.melCount;
    const expected = layout === undefined || !this.merges ? WINDOW_FRAMES : layout.frames;
    if (frames !== expected) throw new Error(`Expected ${expected} frames, got ${frames}.`);
    const outputs = await this.session.run({
      input_features: new Tensor('float32', mel, [1, this.melCount, frames]),
      ...(this.merges ? layoutFeeds(layout ?? wholeWindow(frames)) : {}),
    });
    const states = outputs.last_hidden_state as Tensor;
    return layout === undefined ? { states } : filledUp(states, layout);
  }

  close(): Promise<void> {
    return this.session.release();
  }
}

type Rows = Pick<Layout, 'rows' | 'positions'> & Partial<Pick<Layout, 'counts'>>;

function wholeWindow(frames: number): Rows {
  const all = Array.from({ length: frames / 2 }, (_, index) => index);
  return { rows: all, positions: all };
}

function layoutFeeds({ rows, positions, counts }: Rows): Record<string, Tensor> {
  const indices = (values: readonly number[]) =>
    new Tensor('int64', BigInt64Array.from(values, BigInt), [values.length]);
  return {
    [ROWS]: indices(rows),
    [POSITIONS]: indices(positions),
    [MERGED]: new Tensor('bool', [counts !== undefined], [1]),
    [LOG_COUNTS]: counts === undefined ? new Tensor('float32', [0], [1, 1, 1, 1]) : logCounts(counts),
  };
}

/** The logarithm of each row's count, repeated for every query row. */
function logCounts(counts: readonly number[]): Tensor {
  const line = Float32Array.from(counts, Math.log);
  const table = new Float32Array(counts.length * counts.length);
  for (let row = 0; row < counts.length; row++) table.set(line, row * counts.length);
  return new Tensor('float32', table, [1, 1, counts.length, counts.length]);
}

/** Rows [1, rows, width] and their counts, padded with rows of count 0. */
function filledUp(states: Tensor, { counts, attendedRows: rows }: Layout): EncodedAudio {
  const width = states.dims[2] ?? 0;
  const filled = new Float32Array(rows * width);
  filled.set(states.data as Float32Array);
  const logCounts = new Float32Array(rows).fill(Number.NEGATIVE_INFINITY);
  logCounts.set(counts.map(Math.log));
  return {
    states: new Tensor('float32', filled, [1, rows, width]),
    logCounts: new Tensor('float32', logCounts, [1, 1, 1, rows]),
  };
}
