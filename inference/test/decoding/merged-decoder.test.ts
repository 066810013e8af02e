import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Tensor } from 'onnxruntime-node';
import { BatchedDecoder } from '../../src/models/decoding/batched-decoder.js';
import type { DecoderState, EncodedAudio } from '../../src/models/decoding/decoder.js';
import { keepCacheInPlace } from '../../src/models/decoding/graph/step-graph.js';
import { MergedDecoder } from '../../src/models/decoding/merged-decoder.js';
import { exchangeStateRows, selectRows } from '../../src/models/decoding/state-rows.js';
import { node, type OnnxModel, writeModel } from '../../src/onnx/index.js';
import { OPTIONS } from '../support/paths.js';
import { TINY, tinyDecoder } from '../support/tiny-decoder.js';

const WIDTH = TINY.headCount * TINY.headSize;
/** Softmax over sums in another order, in float32. */
const TOLERANCE = 1e-4;

/** Of the audio. */
const POSITIONS = 5;

function transcribed(seed: number): EncodedAudio {
  const data = Float32Array.from({ length: POSITIONS * WIDTH }, (_, i) => Math.cos(seed + i * 0.9));
  return { states: new Tensor('float32', data, [1, POSITIONS, WIDTH]) };
}

/** The same audio, its second row three times and its last left out: written out, and by counts. */
function countedBoth(seed: number): readonly [EncodedAudio, EncodedAudio] {
  const { states } = transcribed(seed);
  const rows = states.data as Float32Array;
  const row = (index: number) => rows.subarray(index * WIDTH, (index + 1) * WIDTH);
  const writtenOut = Float32Array.from([0, 1, 1, 1, 2, 3].flatMap((index) => Array.from(row(index))));
  const logCounts = Float32Array.from([1, 3, 1, 1, 0], Math.log);
  return [
    { states: new Tensor('float32', writtenOut, [1, 6, WIDTH]) },
    { states, logCounts: new Tensor('float32', logCounts, [1, 1, 1, 5]) },
  ];
}

function tokens(length: number, seed = 0): number[] {
  return Array.from({ length }, (_, i) => (i * 5 + seed * 3 + Math.floor(i / 7)) % TINY.vocabulary);
}

const MAKES = [
  { make: 'kept in place', writing: 'plain', kept: true },
  { make: 'kept in place, of an export that scales keys', writing: 'shared', kept: true },
  { make: 'rewritten', writing: 'plain', kept: false },
] as const;

for (const { make, writing, kept } of MAKES) {
  describe(`a merged decoder whose cache is ${make}`, () => {
    let dir: string;
    let decoder: MergedDecoder;

    before(async () => {
      dir = await mkdtemp(join(tmpdir(), 'heimdex-decoder-'));
      const path = join(dir, 'decoder.onnx');
      const model = tinyDecoder(writing);
      if (!kept) {
        spoil(model);
        hideLogits(model);
      }
      await writeFile(path, writeModel(model));
      decoder = await MergedDecoder.open(path, TINY, OPTIONS);
    });
    after(async () => {
      await decoder.close();
      await rm(dir, { recursive: true });
    });

    /** What the decoder says when it reads all tokens at once. */
    async function atOnce(audio: EncodedAudio, all: readonly number[]): Promise<number[]> {
      return Array.from((await decoder.start(audio, [all])).logits(0));
    }

    async function expectState(
      state: DecoderState,
      row: number,
      audio: EncodedAudio,
      all: readonly number[],
    ): Promise<void> {
      const next = await decoder.step(
        state,
        Array.from({ length: state.rows }, () => 1),
      );
      expectClose(Array.from(next.logits(row)), await atOnce(audio, [...all, 1]));
    }

    it('is the one that is meant', async () => {
      const { state } = await decoder.start(transcribed(1), [tokens(2)]);
      expect(state.inPlace).to.equal(kept);
    });

    it('returns the same step by step as for all tokens at once, over several blocks of capacity', async () => {
      const audio = transcribed(1);
      const all = tokens(150);
      let output = await decoder.start(audio, [all.slice(0, 3)]);
      for (let length = 3; length < all.length; length += 1) {
        output = await decoder.step(output.state, [all[length] ?? 0]);
        expect(output.state.length).to.equal(length + 1);
        expectClose(Array.from(output.logits(0)), await atOnce(audio, all.slice(0, length + 1)));
      }
    });

    it('returns the scores behind each of the tokens that are asked for', async () => {
      const audio = transcribed(1);
      const output = await decoder.start(audio, [tokens(6)], [1, 5]);
      for (const [index, length] of [2, 6].entries())
        expectClose(Array.from(output.logits(0, index)), await atOnce(audio, tokens(length)));
    });

    for (const length of [63, 64, 65, 128]) {
      it(`continues from a prompt of ${length} tokens`, async () => {
        const audio = transcribed(2);
        const { state } = await decoder.start(audio, [tokens(length)]);
        await expectState(state, 0, audio, tokens(length));
      });
    }

    it('continues from one state in several ways, one after the other', async () => {
      const audio = transcribed(3);
      const begun = await decoder.start(audio, [tokens(62)]);
      for (const way of [1, 2]) {
        let { state } = begun;
        const all = tokens(62);
        for (const token of tokens(5, way)) {
          ({ state } = await decoder.step(state, [token]));
          all.push(token);
        }
        await expectState(state, 0, audio, all);
      }
    });

    it('attends to a row as often as it counts, in single steps and in batches, or reports that it does not', async () => {
      if (!kept) {
        expect(decoder.hasProportionalAttention).to.equal(false);
        const refused = await decoder.start(countedBoth(1)[1], [tokens(4)]).catch((error: unknown) => error);
        expect(String(refused)).to.match(/Expected audio whose rows stand for one position each/);
        return;
      }
      const batchedDecoder = new BatchedDecoder(decoder);
      const slots = [1, 2].map((seed) => ({ slot: batchedDecoder.openSlot(), seed }));
      await Promise.all(
        slots.map(async ({ slot, seed }) => {
          const [writtenOut, counted] = countedBoth(seed);
          let output = await slot.start(counted, [tokens(4)]);
          const all = tokens(4);
          for (const token of tokens(6, seed)) {
            expectClose(Array.from(output.logits(0)), await atOnce(writtenOut, all));
            output = await slot.step(output.state, [token]);
            all.push(token);
          }
          slot.close();
        }),
      );
    });

    it('has several sequences over one audio, each with its own tokens, taken apart and doubled', async () => {
      const audio = transcribed(4);
      const begun = await decoder.start(audio, [tokens(4)]);
      let state = selectRows(begun.state, [0, 0, 0]);
      const texts = [1, 2, 3].map(() => tokens(4));
      for (let at = 0; at < 3; at += 1) {
        const next = texts.map((_, row) => (row + 2 * at + 1) % TINY.vocabulary);
        ({ state } = await decoder.step(state, next));
        texts.forEach((text, row) => {
          text.push(next[row] ?? 0);
        });
      }
      for (const rows of [[0, 1, 2], [2, 0, 2], [1], [2, 1]]) {
        const chosen = selectRows(state, rows);
        for (const [index, row] of rows.entries()) await expectState(chosen, index, audio, texts[row] ?? []);
      }
    });

    it('has its sequences exchanged, again and again', async () => {
      const audio = transcribed(4);
      const begun = await decoder.start(audio, [tokens(60)]);
      let state = selectRows(begun.state, [0, 0, 0]);
      let texts = [1, 2, 3].map(() => tokens(60));
      for (const [at, rows] of [
        [0, 1, 2],
        [2, 0, 2],
        [1, 1, 0],
        [2, 1, 0],
        [0, 0, 0],
        [0, 2, 1],
      ].entries()) {
        state = exchangeStateRows(state, rows);
        const next = rows.map((_, row) => (5 * row + at) % TINY.vocabulary);
        ({ state } = await decoder.step(state, next));
        texts = rows.map((row, index) => [...(texts[row] ?? []), next[index] ?? 0]);
      }
      for (const row of [0, 1, 2]) await expectState(state, row, audio, texts[row] ?? []);
    });

    it('batches several windows whose caches reached their length in different ways', async () => {
      const batchedDecoder = new BatchedDecoder(decoder);
      const audios = [transcribed(5), transcribed(6), transcribed(7)];
      const slots = audios.map(() => batchedDecoder.openSlot());
      const texts = await Promise.all(
        slots.map(async (slot, index) => {
          const audio = audios[index] ?? transcribed(0);
          const all = tokens(60 + index, index);
          let output = await slot.start(audio, [all]);
          for (const token of tokens(12 - index, index + 1)) {
            output = await slot.step(output.state, [token]);
            all.push(token);
          }
          slot.close();
          return { all, audio, logits: Array.from(output.logits(0)) };
        }),
      );
      for (const { all, audio, logits } of texts) expectClose(logits, await atOnce(audio, all));
    });
  });
}

describe('keepCacheInPlace', () => {
  it('leaves a graph of another structure unchanged', () => {
    const model = tinyDecoder();
    spoil(model);
    const bytes = writeModel(model);
    expect(keepCacheInPlace(model)).to.equal(false);
    expect(writeModel(model)).to.deep.equal(bytes);
  });
});

/** Takes the weights of the cross attention by another way. */
function spoil({ graph }: OnnxModel): void {
  const branch = graph.nodes[0]?.attributes[0]?.graph;
  const softmax = branch?.nodes.find(({ outputs }) => outputs[0] === 'with/cross_weights');
  if (branch === undefined || softmax === undefined) throw new Error('Expected a cross attention.');
  softmax.name = 'with/cross_plain';
  softmax.outputs = [softmax.name];
  branch.nodes.splice(
    branch.nodes.indexOf(softmax) + 1,
    0,
    node('Identity', ['with/cross_plain'], ['with/cross_weights']),
  );
}

/** Scores that are not seen to come of a product with the words: they are not computed for single positions. */
function hideLogits({ graph }: OnnxModel): void {
  for (const { graph: branch } of graph.nodes[0]?.attributes ?? []) {
    const product = branch?.nodes.find(({ outputs }) => outputs[0]?.endsWith('/logits'));
    if (branch === undefined || product === undefined) throw new Error('Expected a product with the words.');
    const [name = ''] = product.outputs;
    product.name = `${name}_plain`;
    product.outputs = [product.name];
    branch.nodes.push(node('Identity', product.outputs, [name]));
  }
}

function expectClose(got: readonly number[], wanted: readonly number[]): void {
  expect(got).to.have.length(wanted.length);
  const worst = Math.max(...got.map((value, index) => Math.abs(value - (wanted[index] ?? Number.NaN))));
  expect(worst).to.be.below(TOLERANCE);
}
