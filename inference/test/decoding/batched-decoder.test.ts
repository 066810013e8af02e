import { expect } from 'chai';
import { Tensor } from 'onnxruntime-node';
import { BatchedDecoder, type DecoderSlot } from '../../src/models/decoding/batched-decoder.js';
import type { DecoderOutput, DecoderState, EncodedAudio } from '../../src/models/decoding/decoder.js';
import { joinTensors } from '../../src/models/decoding/state-rows.js';

const AUDIO_POSITIONS = 2;

/** A decoder whose cache is the tokens themselves, and whose one score is their sum: a row shows what it was decoded from. */
class Adder {
  /** Sequences of each run, in order. */
  readonly runs: number[] = [];
  /** Memory that what the audio gives lay in. */
  readonly buffers = new Set<ArrayBufferLike>();

  async start({ states }: EncodedAudio, prompts: readonly (readonly number[])[]): Promise<DecoderOutput> {
    this.runs.push(prompts.length);
    const transcribed = Float32Array.from(states.data as Float32Array);
    return this.#output(
      new Tensor('float32', transcribed, states.dims),
      new Tensor('float32', Float32Array.from(prompts.flat()), [prompts.length, prompts[0]?.length ?? 0]),
    );
  }

  async step(state: DecoderState, tokens: readonly number[]): Promise<DecoderOutput> {
    this.runs.push(tokens.length);
    const before = state.cache['decoder.key'] as Tensor;
    const data = before.data as Float32Array;
    const rows = tokens.map((token, row) => [...data.subarray(row * state.length, (row + 1) * state.length), token]);
    const transcribed = state.cache['x.encoder.key'] as Tensor;
    this.buffers.add((transcribed.data as Float32Array).buffer);
    return this.#output(
      transcribed,
      new Tensor('float32', Float32Array.from(rows.flat()), [tokens.length, state.length + 1]),
    );
  }

  #output(transcribed: Tensor, said: Tensor): DecoderOutput {
    const [rows = 0, length = 0] = said.dims;
    const sum = (values: Float32Array) => values.reduce((total, value) => total + value, 0);
    return {
      state: {
        cache: { 'x.encoder.key': transcribed, 'decoder.key': said },
        rows,
        length,
        audioPositions: transcribed.dims[1] ?? 0,
        inPlace: false,
      },
      attentions: new Map(),
      logits: (row) =>
        Float32Array.of(
          sum((said.data as Float32Array).subarray(row * length, (row + 1) * length)) +
            1000 * ((transcribed.data as Float32Array)[row * (transcribed.dims[1] ?? 0)] ?? 0),
        ),
    };
  }
}

function audioOf(value: number, positions = AUDIO_POSITIONS): EncodedAudio {
  return { states: new Tensor('float32', new Float32Array(positions).fill(value), [1, positions]) };
}

/** A window: its prompt, then a token a step; the score of every run. */
async function decode(
  slot: DecoderSlot,
  audio: EncodedAudio,
  prompt: readonly number[],
  tokens: readonly number[],
): Promise<number[]> {
  try {
    const scores: number[] = [];
    let output = await slot.start(audio, [prompt]);
    scores.push(output.logits(0)[0] ?? 0);
    for (const token of tokens) {
      output = await slot.step(output.state, [token]);
      scores.push(output.logits(0)[0] ?? 0);
    }
    return scores;
  } finally {
    slot.close();
  }
}

describe('the batched decoder', () => {
  it('batches waiting slots, and returns each its own row', async () => {
    const decoder = new Adder();
    const batchedDecoder = new BatchedDecoder(decoder);
    const slots = [1, 2, 3].map(() => batchedDecoder.openSlot());
    const scores = await Promise.all(
      slots.map((slot, index) => decode(slot, audioOf(index + 1), [10 * (index + 1)], [1, 2, 3])),
    );
    expect(scores).to.deep.equal([
      [1010, 1011, 1013, 1016],
      [2020, 2021, 2023, 2026],
      [3030, 3031, 3033, 3036],
    ]);
    expect(decoder.runs).to.deep.equal([3, 3, 3, 3]);
    expect(decoder.buffers.size, 'the audio is not copied from step to step').to.equal(1);
  });

  it('lets slots catch up, and continues without finished ones', async () => {
    const decoder = new Adder();
    const batchedDecoder = new BatchedDecoder(decoder);
    const slots = [1, 2, 3].map(() => batchedDecoder.openSlot());
    const scores = await Promise.all([
      decode(slots[0] as DecoderSlot, audioOf(1), [5, 5, 5], [1, 1]),
      decode(slots[1] as DecoderSlot, audioOf(2), [7], [1, 1, 1, 1, 1]),
      decode(slots[2] as DecoderSlot, audioOf(3), [9], [1]),
    ]);
    expect(scores).to.deep.equal([
      [1015, 1016, 1017],
      [2007, 2008, 2009, 2010, 2011, 2012],
      [3009, 3010],
    ]);
    // The long prompt, both short ones, a step of these two, one that is behind alone, two together twice, the last alone.
    expect(decoder.runs).to.deep.equal([1, 2, 2, 1, 2, 2, 1]);
  });

  it('runs at most eight together', async () => {
    const decoder = new Adder();
    const batchedDecoder = new BatchedDecoder(decoder);
    const slots = Array.from({ length: 10 }, () => batchedDecoder.openSlot());
    const scores = await Promise.all(slots.map((slot, index) => decode(slot, audioOf(index), [1], [2])));
    expect(scores).to.deep.equal(slots.map((_, index) => [1000 * index + 1, 1000 * index + 3]));
    expect(decoder.runs).to.deep.equal([8, 2, 8, 2]);
  });

  it('never puts audio of different lengths into one run', async () => {
    const decoder = new Adder();
    const batchedDecoder = new BatchedDecoder(decoder);
    const slots = [batchedDecoder.openSlot(), batchedDecoder.openSlot()];
    await Promise.all([
      decode(slots[0] as DecoderSlot, audioOf(1, 2), [5], [1]),
      decode(slots[1] as DecoderSlot, audioOf(2, 3), [5], [1]),
    ]);
    expect(decoder.runs).to.deep.equal([1, 1, 1, 1]);
  });

  it('runs exclusive work one window at a time, while the others continue', async () => {
    const decoder = new Adder();
    const batchedDecoder = new BatchedDecoder(decoder);
    const slots = [1, 2, 3].map(() => batchedDecoder.openSlot());
    let apart = 0;
    let most = 0;
    const search = (slot: DecoderSlot, value: number) =>
      slot.apart(async () => {
        apart += 1;
        most = Math.max(most, apart);
        const output = await slot.start(
          audioOf(value),
          [[1], [2]].map(() => [value]),
        );
        await slot.step(output.state, [1, 1]);
        apart -= 1;
        return value;
      });
    const all = await Promise.all([
      search(slots[0] as DecoderSlot, 1).finally(() => slots[0]?.close()),
      search(slots[1] as DecoderSlot, 2).finally(() => slots[1]?.close()),
      decode(slots[2] as DecoderSlot, audioOf(3), [9], [1]),
    ]);
    expect(all).to.deep.equal([1, 2, [3009, 3010]]);
    expect(most).to.equal(1);
  });

  it('tells each window of a run when that run fails, and no other', async () => {
    const decoder = new Adder();
    const batchedDecoder = new BatchedDecoder({
      start: (audio, prompts) => decoder.start(audio, prompts),
      step: () => Promise.reject(new Error('out of memory')),
    });
    const slots = [1, 2, 3].map(() => batchedDecoder.openSlot());
    const settled = await Promise.allSettled([
      decode(slots[0] as DecoderSlot, audioOf(1), [5], [1]),
      decode(slots[1] as DecoderSlot, audioOf(2), [5], [1]),
      decode(slots[2] as DecoderSlot, audioOf(3), [5], []),
    ]);
    expect(settled.map(({ status }) => status)).to.deep.equal(['rejected', 'rejected', 'fulfilled']);
  });

  it('runs long work one window at a time, in turn, even after a failure', async () => {
    const batchedDecoder = new BatchedDecoder(new Adder());
    const slots = [1, 2, 3].map(() => batchedDecoder.openSlot());
    const seen: string[] = [];
    const settled = await Promise.allSettled(
      slots.map((slot, index) =>
        slot.inTurn(async () => {
          seen.push(`${index} begins`);
          await new Promise(setImmediate);
          seen.push(`${index} ends`);
          if (index === 1) throw new Error('no memory');
          return index;
        }),
      ),
    );
    expect(seen).to.deep.equal([0, 1, 2].flatMap((index) => [`${index} begins`, `${index} ends`]));
    expect(settled.map(({ status }) => status)).to.deep.equal(['fulfilled', 'rejected', 'fulfilled']);
  });
});

describe('joined tensors', () => {
  it('are a view where the parts are adjacent, otherwise a copy', () => {
    const whole = Float32Array.of(1, 2, 3, 4, 5, 6);
    const row = (index: number) => new Tensor('float32', whole.subarray(2 * index, 2 * index + 2), [1, 2]);
    const view = joinTensors([row(0), row(1), row(2)]);
    expect(view.dims).to.deep.equal([3, 2]);
    expect((view.data as Float32Array).buffer).to.equal(whole.buffer);
    const copy = joinTensors([row(2), row(0)]);
    expect([...(copy.data as Float32Array)]).to.deep.equal([5, 6, 1, 2]);
    expect((copy.data as Float32Array).buffer).not.to.equal(whole.buffer);
  });
});
