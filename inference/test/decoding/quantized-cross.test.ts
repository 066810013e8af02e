import { expect } from 'chai';
import { Tensor } from 'onnxruntime-node';
import { CompiledDecoder } from '../../src/models/decoding/compiled-decoder.js';
import type { Decoder, DecoderOutput } from '../../src/models/decoding/decoder.js';
import { joinStates, joinTensors, selectRows, splitState } from '../../src/models/decoding/state-rows.js';
import { type CompiledRepository, compileRepository } from '../support/compiled.js';
import { inShared, needsShared } from '../support/paths.js';

const TINY = 'models/checkpoints/whisper-tiny-random-fp32';
const SIZES = { layerCount: 2, headCount: 4, headSize: 16 };
const POSITIONS = 40;
const WIDTH = 64;

/** The same numbers every time, and others for each seed; the last position is padding, which is all zeros. */
const audio = (seed: number) => {
  const numbers = Float32Array.from({ length: POSITIONS * WIDTH }, (_, i) => Math.sin(seed + i * 0.37));
  numbers.fill(0, -WIDTH);
  const logCounts = new Float32Array(POSITIONS).fill(Number.NEGATIVE_INFINITY, -1);
  return {
    states: new Tensor('float32', numbers, [1, POSITIONS, WIDTH]),
    logCounts: new Tensor('float32', logCounts, [1, 1, 1, POSITIONS]),
  };
};

function cosine(one: Float32Array, other: Float32Array): number {
  const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
  return dot(one, other) / Math.sqrt(dot(one, one) * dot(other, other));
}

describe('keys and values of the audio in 8 bits', () => {
  let compiled: CompiledRepository;
  let exact: Decoder;
  let quantized: Decoder;
  const open = ({ files, options }: CompiledRepository, weights: 'plain' | 'overflow-safe') => {
    const { cross = '', decoder = '' } = files.weights;
    return CompiledDecoder.open({ cross, decoder }, SIZES, { ...options, weights });
  };
  const compile = (precision: 'int8' | 'fp32') => {
    const files = ['config.json', 'model.safetensors'].map((path) => ({ path, file: inShared(`${TINY}/${path}`) }));
    return compileRepository({ name: 'tiny/whisper', files }, 'model.safetensors', { precision });
  };

  before(async function () {
    needsShared(this, TINY);
    compiled = await compile('int8');
    exact = await open(compiled, 'overflow-safe');
    quantized = await open(compiled, 'plain');
  });
  after(async () => {
    await exact?.close();
    await quantized?.close();
    await compiled?.remove();
  });

  it('give nearly the scores of those in float32, in a quarter of the memory, padding left out', async () => {
    expect([exact.crossValueBytes, quantized.crossValueBytes]).to.deep.equal([4, 1]);
    const [one, other] = await Promise.all([exact, quantized].map((decoder) => decoder.start(audio(1), [[5, 6, 7]])));
    expect(cosine(one?.logits(0) as Float32Array, other?.logits(0) as Float32Array)).to.be.above(0.997);
    const stepped = await exact.step((one as DecoderOutput).state, [9]);
    const otherStepped = await quantized.step((other as DecoderOutput).state, [9]);
    expect(cosine(stepped.logits(0), otherStepped.logits(0))).to.be.above(0.997);
  });

  it('give the cross attentions of a prompt, for word times, that sum to 1', async () => {
    const { attentions } = await quantized.start(audio(2), [[5, 6, 7]], [2], [1]);
    const weights = attentions.get(1)?.data as Float32Array;
    for (let row = 0; row < weights.length; row += POSITIONS)
      expect(weights.subarray(row, row + POSITIONS).reduce((sum, value) => sum + value, 0)).to.be.closeTo(1, 1e-4);
  });

  it('give each of several windows and beams the scores that it has alone, to the bit', async () => {
    const start = (seed: number) => quantized.start(audio(seed), [[5, 6, 7]]);
    const alone = await quantized.step((await start(2)).state, [20]);
    const expected = alone.logits(0).slice();
    const audios = [audio(1), audio(2)];
    const begun = await quantized.start(
      {
        states: joinTensors(audios.map(({ states }) => states)),
        logCounts: joinTensors(audios.map(({ logCounts }) => logCounts)),
      },
      [
        [5, 6, 7],
        [5, 6, 7],
      ],
    );
    expect([...begun.logits(1)]).to.deep.equal([...(await start(2)).logits(0)]);
    const states = [(await start(1)).state, (await start(2)).state];
    const together = await quantized.step(joinStates(states), [19, 20]);
    expect([...together.logits(1)]).to.deep.equal([...expected]);
    const [, parted] = splitState(together.state, [1, 1]);
    const next = (await quantized.step(parted as (typeof states)[0], [21])).logits(0).slice();
    expect([...(await quantized.step(alone.state, [21])).logits(0)]).to.deep.equal([...next]);
    const beams = await quantized.step(selectRows((await start(2)).state, [0, 0]), [20, 22]);
    expect([...beams.logits(0)]).to.deep.equal([...expected]);
  });

  it('are not made of a model that was compiled to more bits', async () => {
    const whole = await compile('fp32');
    const decoder = await open(whole, 'plain');
    expect(decoder.crossValueBytes).to.equal(4);
    await decoder.close();
    // A decoder for which the compiler fell back to float32.
    const weights = { ...compiled.files.weights, decoder: whole.files.weights.decoder ?? '' };
    const externalFiles = [...(compiled.options.externalFiles ?? []), ...(whole.options.externalFiles ?? [])];
    const mixed = {
      ...compiled,
      files: { ...compiled.files, weights },
      options: { ...compiled.options, externalFiles },
    };
    const other = await open(mixed, 'plain');
    expect(other.crossValueBytes).to.equal(4);
    await other.close();
    await whole.remove();
  });
});
