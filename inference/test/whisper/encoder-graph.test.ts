import { expect } from 'chai';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { sessionOptions } from '../../src/models/session/open-session.js';
import { choosePositions } from '../../src/models/whisper/encoder-graph.js';
import { mergedSilence, WINDOW_POSITIONS, WINDOW_SAMPLES } from '../../src/models/whisper/length.js';
import { whisperSpec } from '../../src/models/whisper/spec.js';
import { newModel, node, type OnnxModel, tensor, writeModel } from '../../src/onnx/index.js';
import { OPTIONS } from '../support/paths.js';
import { SPEECH_OPTIONS, windowOf } from '../support/speech.js';

const WIDTH = 4;
const LENGTH = 10;

/** An encoder in little: frames to rows, the embedding of ten positions, an attention. */
function littleEncoder(): OnnxModel {
  const model = newModel({
    name: 'encoder',
    nodes: [
      node('Transpose', ['input_features'], ['sound'], { perm: [0, 2, 1] }),
      node('Add', ['sound', 'encoder.embed_positions.weight'], ['states']),
      node(
        'MultiHeadAttention',
        ['states', 'states', 'states'],
        ['last_hidden_state'],
        { num_heads: 2 },
        'com.microsoft',
      ),
    ],
    initializers: [
      tensor(
        'encoder.embed_positions.weight',
        [LENGTH, WIDTH],
        Float32Array.from({ length: LENGTH * WIDTH }, (_, i) => Math.sin(Math.floor(i / WIDTH / 2) * 5 + (i % WIDTH))),
      ),
    ],
    inputs: [{ name: 'input_features', elementType: 'float32', dims: ['batch', WIDTH, LENGTH] }],
    outputs: [{ name: 'last_hidden_state', elementType: 'float32', dims: ['batch', LENGTH, WIDTH] }],
  });
  model.opsets.set('com.microsoft', 1n);
  return model;
}

/** Frames of which each odd one is like the one before it. */
function features(): Tensor {
  const values = Float32Array.from({ length: WIDTH * LENGTH }, (_, i) => Math.cos(Math.floor((i % LENGTH) / 2) * 3));
  return new Tensor('float32', values, [1, WIDTH, LENGTH]);
}

async function run(model: OnnxModel, feeds: Readonly<Record<string, Tensor>>): Promise<number[][]> {
  const session = await InferenceSession.create(writeModel(model), sessionOptions(OPTIONS));
  try {
    const { last_hidden_state: states } = await session.run(feeds);
    const values = Array.from(states?.data as Float32Array);
    return Array.from({ length: values.length / WIDTH }, (_, row) => values.slice(row * WIDTH, (row + 1) * WIDTH));
  } finally {
    await session.release();
  }
}

function layout(rows: readonly number[], counts?: readonly number[]): Record<string, Tensor> {
  const indices = () => new Tensor('int64', BigInt64Array.from(rows, BigInt), [rows.length]);
  const logs = counts === undefined ? [0] : rows.flatMap(() => counts.map(Math.log));
  const size = counts?.length ?? 1;
  return {
    heimdex_rows: indices(),
    heimdex_positions: indices(),
    heimdex_merged: new Tensor('bool', [counts !== undefined], [1]),
    heimdex_log_counts: new Tensor('float32', logs, [1, 1, size, size]),
  };
}

function expectClose(found: readonly (readonly number[])[], wanted: readonly (readonly number[])[]): void {
  expect(found.length).to.equal(wanted.length);
  found.forEach((row, index) => {
    for (const [at, value] of row.entries())
      expect(value, `row ${index}`).to.be.closeTo(wanted[index]?.[at] ?? 9, 1e-5);
  });
}

describe('choosePositions', () => {
  const all = Array.from({ length: LENGTH }, (_, index) => index);

  it('returns the original output when every position is computed', async () => {
    const whole = await run(littleEncoder(), { input_features: features() });
    const model = littleEncoder();
    expect(choosePositions(model.graph)).to.equal(true);
    expectClose(await run(model, { input_features: features(), ...layout(all) }), whole);
  });

  it('counts a row that represents two equal ones twice', async () => {
    const whole = await run(littleEncoder(), { input_features: features() });
    const model = littleEncoder();
    choosePositions(model.graph);
    const merged = await run(model, {
      input_features: features(),
      ...layout([0, 1, 2, 3, 4, 6, 8], [1, 1, 1, 1, 2, 2, 2]),
    });
    expectClose(
      merged,
      whole.filter((_, row) => row < 4 || row % 2 === 0),
    );
  });

  it('leaves a graph of another structure unchanged', () => {
    for (const [from, to] of [
      ['Add', 'Mul'],
      ['MultiHeadAttention', 'Attention'],
    ]) {
      const model = littleEncoder();
      for (const one of model.graph.nodes) if (one.opType === from) one.opType = to ?? '';
      const bytes = writeModel(model);
      expect(choosePositions(model.graph)).to.equal(false);
      expect(writeModel(model)).to.deep.equal(bytes);
    }
  });
});

describe('mergedSilence', () => {
  const options = SPEECH_OPTIONS;
  const samplesOf = (seconds: number) => new Float32Array(seconds * 16_000);

  it('has every position of 30 s in one row, those of the speech in one each', () => {
    for (const seconds of [0.01, 1, 3, 11, 16.7]) {
      const layout = mergedSilence({ samples: samplesOf(seconds), options });
      expect(layout?.counts.reduce((sum, count) => sum + count, 0)).to.equal(WINDOW_POSITIONS);
      expect(layout?.counts.slice(0, Math.ceil(seconds * 50)).every((count) => count === 1)).to.equal(true);
      expect(layout?.rows.length).to.equal(layout?.counts.length);
      let from = 0;
      layout?.counts.forEach((count, row) => {
        expect(layout.positions[row]).to.be.within(from, from + count - 1);
        from += count;
        // Every row is there, but for the last two, which the end of the sound touches.
        expect(layout.rows[row]).to.be.at.most(layout.frames / 2 - 2);
      });
    }
  });

  it('gives the decoder equally many rows for utterances of similar length', () => {
    const layoutOfSeconds = (seconds: number) => mergedSilence({ samples: samplesOf(seconds), options });
    expect(layoutOfSeconds(3)?.attendedRows).to.equal(layoutOfSeconds(4)?.attendedRows);
    expect(layoutOfSeconds(3)?.attendedRows).to.be.below(layoutOfSeconds(11)?.attendedRows ?? 0);
    for (const seconds of [0.01, 3, 9.4, 16]) {
      const layout = layoutOfSeconds(seconds);
      expect(layout?.attendedRows).to.be.at.least(layout?.rows.length ?? 9999);
    }
  });

  it('is what an utterance costs more than its seconds, up to all of a window', () => {
    const costOf = (seconds: number, overrides: Partial<typeof options> = {}) =>
      whisperSpec.cost(windowOf(samplesOf(seconds), { options: { ...options, ...overrides } }));
    expect(costOf(3)).to.be.within(10, 11.5);
    expect(costOf(11)).to.be.within(16, 18);
    expect(costOf(25)).to.equal(30);
    expect(costOf(3, { beamSize: 5 })).to.equal(30);
  });

  it('is skipped if little would be merged, or if uncertain words are not checked', () => {
    expect(mergedSilence({ samples: samplesOf(17), options })).to.equal(undefined);
    expect(mergedSilence({ samples: new Float32Array(WINDOW_SAMPLES), options })).to.equal(undefined);
    expect(mergedSilence({ samples: samplesOf(3), options: { ...options, beamSize: 5 } })).to.equal(undefined);
    expect(mergedSilence({ samples: samplesOf(3), options: { ...options, temperatures: [0.2] } })).to.equal(undefined);
  });
});
