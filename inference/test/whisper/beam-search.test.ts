import { expect } from 'chai';
import { Tensor } from 'onnxruntime-node';
import type { DecoderOutput, DecoderState } from '../../src/models/decoding/decoder.js';
import { indicesOfHighest } from '../../src/models/decoding/scores.js';
import { selectRows } from '../../src/models/decoding/state-rows.js';
import { beamSearch } from '../../src/models/whisper/beam-search.js';
import { greedySearch } from '../../src/models/whisper/greedy-search.js';
import { LogitsProcessors } from '../../src/models/whisper/logits-processors.js';

const SPECIAL = {
  endOfText: 4,
  startOfTranscript: 5,
  translate: 6,
  transcribe: 7,
  startOfPrevious: 8,
  noSpeech: 9,
  noTimestamps: 10,
  firstTimestamp: 11,
};
const processorsWithout = (...suppressed: readonly number[]) =>
  new LogitsProcessors({
    special: SPECIAL,
    isText: (token) => token < SPECIAL.endOfText,
    suppressed,
    suppressedFirst: [],
    timestamps: false,
    maxInitialTimestampIndex: 50,
  });
const processors = processorsWithout();

/** What follows a token, with which probability. The likeliest first word leads to a poor end. */
const FOLLOWS: Readonly<Record<string, Readonly<Record<number, number>>>> = {
  '': { 0: 0.6, 1: 0.4 },
  '0': { 2: 0.34, 3: 0.33, 4: 0.33 },
  '1': { 3: 0.98, 4: 0.02 },
  '2': { 4: 1 },
  '3': { 4: 1 },
};

/** Not normalized: their sum is no probability. */
function logitsAfter(token: number | undefined, follows = FOLLOWS): Float32Array {
  const logits = new Float32Array(12).fill(Number.NEGATIVE_INFINITY);
  for (const [next, part] of Object.entries(follows[String(token ?? '')] ?? {}))
    logits[Number(next)] = 5 + Math.log(part);
  return logits;
}

/** A state whose one cached number a row says which tokens it has, so that a wrong row shows. */
function stateOf(histories: readonly number[]): DecoderState {
  const rows = histories.length;
  const cache = {
    'past_key_values.0.decoder.key': new Tensor('float32', Float32Array.from(histories), [rows, 1, 1, 1]),
    'past_key_values.0.encoder.key': new Tensor('float32', new Float32Array(rows).fill(7), [rows, 1, 1, 1]),
  };
  return { cache, rows, length: 1, audioPositions: 1, inPlace: false };
}

function historiesOf(state: DecoderState): number[] {
  return Array.from(state.cache['past_key_values.0.decoder.key']?.data as Float32Array);
}

const decoderOf = (follows = FOLLOWS) => ({
  async step(state: DecoderState, tokens: readonly number[]): Promise<DecoderOutput> {
    const histories = historiesOf(state).map((history, row) => history * 10 + (tokens[row] ?? 0) + 1);
    return {
      state: stateOf(histories),
      attentions: new Map(),
      // Read from the state, not from the argument: a row that was mixed up gives other words.
      logits: (row) => logitsAfter(((histories[row] ?? 0) % 10) - 1, follows),
    };
  },
});
const decoder = decoderOf();

const shared = { processors, endOfText: SPECIAL.endOfText, maxTokens: 8, yieldToEventLoop: async () => {} };
const DEFAULTS = { patience: 1, lengthPenalty: 1 };
const beginning = () => ({ state: stateOf([0]), logits: logitsAfter(undefined) });

describe('beam search', () => {
  it('finds the more probable text if the most probable first word misleads', async () => {
    const greedy = await greedySearch(decoder, beginning(), {
      ...shared,
      temperature: 0,
      count: 1,
      random: () => 0,
    });
    expect(greedy.tokens).to.deep.equal([0, 2]);
    for (const beamSize of [2, 3, 5]) {
      const found = await beamSearch(decoder, beginning(), { ...shared, ...DEFAULTS, beamSize });
      expect(found.tokens, `${beamSize} beams`).to.deep.equal([1, 3]);
      expect(found.logProb).to.be.closeTo(Math.log(0.4 * 0.98), 1e-6);
    }
  });

  it('has no more beams than requested, each with its own state, and never a token that is suppressed', async () => {
    const seen: number[][] = [];
    const counted = {
      step: (state: DecoderState, tokens: readonly number[]) => {
        seen.push(historiesOf(state));
        return decoder.step(state, tokens);
      },
    };
    const options = { ...shared, ...DEFAULTS, beamSize: 2, patience: 3 };
    await beamSearch(counted, beginning(), options);
    expect(seen).to.deep.equal([
      [0, 0],
      [2, 1],
    ]);
    const found = await beamSearch(counted, beginning(), { ...options, processors: processorsWithout(1) });
    expect(found.tokens).to.deep.equal([0, 2]);
  });

  it('ranks texts by their log-probability divided by their tokens and the end', async () => {
    const best = async (likely: number) => {
      const ends = { 4: 1 };
      const follows = { '': { 0: 0.5, 1: 0.5 }, '0': ends, '1': { 2: 1 - likely, 3: likely }, '2': ends, '3': ends };
      const options = { ...shared, ...DEFAULTS, beamSize: 3, patience: 2 };
      const start = { state: stateOf([0]), logits: logitsAfter(undefined, follows) };
      return (await beamSearch(decoderOf(follows), start, options)).tokens;
    };
    // log(0.5) / 2 is more than log(0.34) / 3, but log(0.5) / 1 less than log(0.34) / 2; log(0.41) / 3 is more than both.
    expect([await best(0.68), await best(0.82)]).to.deep.equal([[0], [1, 3]]);
  });

  it('searches longer with patience', async () => {
    // At each step the text may end, or go on with one word.
    const logits = () => {
      const scores = new Float32Array(12).fill(Number.NEGATIVE_INFINITY);
      scores.set([Math.log(0.6)], 0);
      scores.set([Math.log(0.4)], SPECIAL.endOfText);
      return scores;
    };
    const endless = { step: async () => ({ state: stateOf([0]), attentions: new Map(), logits }) };
    const stepsWith = async (patience: number) => {
      let steps = 0;
      const yieldToEventLoop = async () => {
        steps += 1;
      };
      const options = { ...shared, ...DEFAULTS, maxTokens: 20, beamSize: 2, patience, yieldToEventLoop };
      await beamSearch(endless, { state: stateOf([0]), logits: logits() }, options);
      return steps;
    };
    expect([await stepsWith(0.5), await stepsWith(1), await stepsWith(3)]).to.deep.equal([0, 1, 5]);
  });

  it('prefers short texts without a length penalty', async () => {
    const options = { ...shared, ...DEFAULTS, beamSize: 3, patience: 2 };
    const long = await beamSearch(decoder, beginning(), options);
    const short = await beamSearch(decoder, beginning(), { ...options, lengthPenalty: 0 });
    expect(short.logProb).to.be.at.least(long.logProb);
  });

  it('returns unfinished text at the length limit', async () => {
    const found = await beamSearch(decoder, beginning(), { ...shared, ...DEFAULTS, beamSize: 2, maxTokens: 1 });
    expect(found.tokens).to.deep.equal([0]);
  });

  it('stops when requested', async () => {
    const stop = async () => {
      throw new Error('stopped');
    };
    const error = await beamSearch(decoder, beginning(), {
      ...shared,
      ...DEFAULTS,
      beamSize: 2,
      yieldToEventLoop: stop,
    }).catch((reason: Error) => reason.message);
    expect(error).to.equal('stopped');
  });
});

describe('selectRows', () => {
  it('returns rows in the requested order, with repeats', () => {
    const state = stateOf([10, 20, 30]);
    expect(historiesOf(selectRows(state, [2, 0, 2, 1]))).to.deep.equal([30, 10, 30, 20]);
    const fewer = selectRows(state, [1]);
    expect(historiesOf(fewer)).to.deep.equal([20]);
    expect(fewer.cache['past_key_values.0.encoder.key']?.dims).to.deep.equal([1, 1, 1, 1]);
    expect(selectRows(state, [0, 1, 2])).to.equal(state);
  });
});

describe('indicesOfHighest', () => {
  it('returns the highest first, without -Infinity', () => {
    const never = Number.NEGATIVE_INFINITY;
    expect(indicesOfHighest(Float32Array.of(1, never, 5, 3, 4), 3)).to.deep.equal([2, 4, 3]);
    expect(indicesOfHighest(Float32Array.of(never, 2, never), 3)).to.deep.equal([1]);
  });
});
