import type { Decoder, DecoderOutput, DecoderState } from '../decoding/decoder.js';
import { indexOfHighest, indexOfRival, logSumExp, sampleIndex } from '../decoding/scores.js';
import { selectRows } from '../decoding/state-rows.js';
import type { ItemContext } from '../model.js';
import type { LogitsProcessors } from './logits-processors.js';

/** The state after the prompt, from which a window is decoded. */
export interface Beginning {
  readonly state: DecoderState;
  /** Scores of the first token, for one sequence. */
  readonly logits: Float32Array;
}

/** A decoded sequence. */
export interface Hypothesis {
  readonly tokens: readonly number[];
  /** Sum of the tokens' natural log-probabilities, including the end of text. */
  readonly logProb: number;
  /** Greedy search stopped at a word with a close rival. */
  readonly doubtful?: boolean;
}

/**
 * A word is doubtful when a rival has more than this fraction of its probability. Measured with
 * `bench/speech/short.js`: below this value the words equal those of the full input, except in 3 % of deliberately hard
 * clips.
 */
const DOUBTFUL_RATIO = 0.7;

export interface SearchOptions extends ItemContext {
  readonly processors: LogitsProcessors;
  readonly endOfText: number;
  /** Maximum tokens of a transcript. */
  readonly maxTokens: number;
  /** Whether a text only repeats itself: it ends there. */
  readonly repeats?: (tokens: readonly number[]) => boolean;
  /** 0: always the most probable token. */
  readonly temperature: number;
  /** Sequences sampled in parallel; 1 at temperature 0. */
  readonly count: number;
  /** Returns a number in [0, 1). */
  readonly random: () => number;
  /** Whether two tokens would write different words. If given, decoding stops at the first doubtful word. */
  readonly differ?: ((token: number, rival: number) => boolean) | undefined;
}

/** Mean log-probability as in the reference: the end of text counts as a token whether or not it was sampled. */
export function meanLogProb(hypothesis: Hypothesis): number {
  return hypothesis.logProb / (hypothesis.tokens.length + 1);
}

interface Row {
  readonly tokens: number[];
  logProb: number;
  done: boolean;
  doubtful: boolean;
}

/**
 * Greedy decoding, or `count` sequences sampled in parallel, of which the one with the best mean is returned. Source:
 * GreedyDecoder and MaximumLikelihoodRanker of OpenAI's whisper/decoding.py.
 */
export async function greedySearch(
  decoder: Pick<Decoder, 'step'>,
  beginning: Beginning,
  options: SearchOptions,
): Promise<Hypothesis> {
  const rows: Row[] = Array.from({ length: options.count }, () => ({
    tokens: [],
    logProb: 0,
    done: false,
    doubtful: false,
  }));
  // All sequences begin with the same scores, so the processors run on a copy of them each time.
  for (const row of rows) choose(row, beginning.logits, options);
  let live = rows.filter((row) => !row.done);
  let state = selectRows(beginning.state, new Array<number>(Math.max(1, live.length)).fill(0));
  while (live.length > 0) {
    await options.yieldToEventLoop();
    const output: DecoderOutput = await decoder.step(
      state,
      live.map(({ tokens }) => tokens.at(-1) ?? 0),
    );
    live.forEach((row, index) => {
      choose(row, output.logits(index), options);
    });
    const staying = live.flatMap((row, index) => (row.done ? [] : [index]));
    live = live.filter((row) => !row.done);
    if (live.length > 0) state = selectRows(output.state, staying);
  }
  return rows.reduce((best, row) => (meanLogProb(row) > meanLogProb(best) ? row : best));
}

/** The next token of a row: the most probable, or a sampled one. */
function choose(row: Row, logits: Float32Array, options: SearchOptions): void {
  options.processors.apply(logits, row.tokens);
  const token =
    options.temperature === 0 ? indexOfHighest(logits) : sampleIndex(logits, options.temperature, options.random);
  row.logProb += (logits[token] ?? 0) - logSumExp(logits);
  if (options.differ !== undefined) {
    const rival = indexOfRival(logits, token);
    const close = (logits[rival] ?? Number.NEGATIVE_INFINITY) - (logits[token] ?? 0) > Math.log(DOUBTFUL_RATIO);
    row.doubtful = close && options.differ(token, rival);
  }
  if (token === options.endOfText || token < 0 || row.doubtful) row.done = true;
  else {
    row.tokens.push(token);
    row.done = row.tokens.length >= options.maxTokens || options.repeats?.(row.tokens) === true;
  }
}
