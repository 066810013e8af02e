import { expect } from 'chai';
import { Tensor } from 'onnxruntime-node';
import { CompiledDecoder } from '../../src/models/decoding/compiled-decoder.js';
import type { Decoder, DecoderOutput } from '../../src/models/decoding/decoder.js';
import { joinStates, selectRows, splitState } from '../../src/models/decoding/state-rows.js';
import { WholeDecoder } from '../../src/models/decoding/whole-decoder.js';
import { type CompiledRepository, compileRepository } from '../support/compiled.js';
import { inShared, needsShared } from '../support/paths.js';

const TINY = 'models/checkpoints/whisper-tiny-random-fp32';
const SIZES = { layerCount: 2, headCount: 4, headSize: 16 };
const POSITIONS = 12;
const WIDTH = 64;

/** The same numbers every time, and others for each seed. */
const states = (seed: number) =>
  new Tensor(
    'float32',
    Float32Array.from({ length: POSITIONS * WIDTH }, (_, i) => Math.sin(seed + i * 0.37)),
    [1, POSITIONS, WIDTH],
  );

// What a GPU runs; here on the CPU, which computes half precision in float32.
for (const precision of ['fp32', 'fp16', 'int8'] as const) {
  describe(`a decoder that runs all tokens again, in ${precision}`, () => {
    let compiled: CompiledRepository;
    let cached: Decoder;
    let whole: Decoder;

    before(async function () {
      needsShared(this, TINY);
      const files = ['config.json', 'model.safetensors'].map((path) => ({ path, file: inShared(`${TINY}/${path}`) }));
      compiled = await compileRepository({ name: 'tiny/whisper', files }, 'model.safetensors', { precision });
      const { cross = '', decoder = '' } = compiled.files.weights;
      // As on a CPU whose 8-bit product is not exact: keys and values of the audio in float32, as the other has them.
      cached = await CompiledDecoder.open({ cross, decoder }, SIZES, { ...compiled.options, weights: 'overflow-safe' });
      whole = await WholeDecoder.open({ cross, decoder }, SIZES, compiled.options);
    });
    after(async () => {
      await whole?.close();
      await cached?.close();
      await compiled?.remove();
    });

    /** The scores of every step of both, which must be the same but for rounding. */
    async function expectSame(decode: (decoder: Decoder) => Promise<readonly Float32Array[]>): Promise<void> {
      const [expected, got] = [await decode(cached), await decode(whole)];
      expect(got.length).to.equal(expected.length);
      for (const [at, scores] of got.entries()) {
        const others = expected[at] as Float32Array;
        const off = Math.max(...scores.map((score, i) => Math.abs(score - (others[i] as number))));
        expect(off, `scores ${at}`).to.be.below(1e-3);
      }
    }

    it('gives the scores of one that keeps keys and values, token by token, over the edge of a block', () =>
      expectSame(async (decoder) => {
        let output = await decoder.start({ states: states(1) }, [Array.from({ length: 60 }, (_, i) => 3 + i)]);
        const scores = [output.logits(0).slice()];
        for (let token = 100; token < 106; token++) {
          output = await decoder.step(output.state, [token]);
          scores.push(output.logits(0).slice());
        }
        return scores;
      }));

    it('follows rows that are exchanged, joined and parted', () =>
      expectSame(async (decoder) => {
        const scores: Float32Array[] = [];
        const keep = (output: DecoderOutput) => {
          for (let row = 0; row < output.state.rows; row++) scores.push(output.logits(row).slice());
          return output.state;
        };
        let beams = selectRows(keep(await decoder.start({ states: states(1) }, [[5, 6, 7]])), [0, 0]);
        beams = keep(await decoder.step(beams, [8, 9]));
        beams = keep(await decoder.step(selectRows(beams, [1, 1]), [10, 11]));
        const other = keep(await decoder.start({ states: states(2) }, [[5, 6, 7]]));
        const third = keep(await decoder.start({ states: states(3) }, [[7, 6, 5]]));
        const [, parted] = splitState(keep(await decoder.step(joinStates([other, third]), [20, 21])), [1, 1]);
        keep(await decoder.step(parted as typeof other, [22]));
        return scores;
      }));

    it('gives the cross attentions of a prompt, for word times', async () => {
      const ask = (decoder: Decoder) => decoder.start({ states: states(4) }, [[5, 6, 7]], [2], [1]);
      const [expected, got] = [(await ask(cached)).attentions.get(1), (await ask(whole)).attentions.get(1)];
      expect(got?.dims).to.deep.equal(expected?.dims);
      const shares = (attentions: Tensor | undefined) => [...((attentions?.data ?? []) as Float32Array)];
      const others = shares(expected);
      expect(others.length).to.be.above(0);
      for (const [i, share] of shares(got).entries()) expect(share).to.be.closeTo(others[i] as number, 1e-4);
    });
  });
}
