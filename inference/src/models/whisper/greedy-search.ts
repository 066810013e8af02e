import type { Decoder, DecoderOutput, DecoderState } from '../decoding/merged-decoder.js';
import { indexOfHighest, indexOfRival, logSumExp, sampleIndex } from '../decoding/scores.js';
import { selectRows } from '../decoding/state-rows.js';
import type { LogitsProcessors } from './logits-processors.js';

/** Where the decoding of a window begins: after its prompt. */
export interface Beginning {
  readonly state: DecoderState;
  /** Scores of the first token, of one sequence. */
  readonly logits: Float32Array;
}

/** One way a window's text may go. */
export interface Hypothesis {
  readonly tokens: readonly number[];
  /** Sum of the natural logarithms of the tokens' probabilities, the end of text among them. */
  readonly logProb: number;
  /** Decoding stopped at a word that another was nearly as likely for. */
  readonly doubtful: boolean;
}

/**
 * A word is doubtful when another has more than this part of its probability. Measured (`bench/speech/short.js`): below it the
 * words are those of the whole input, but for three in a hundred of clips that were made to be hard.
 */
const DOUBTFUL_RATIO = 0.7;

export interface SearchOptions {
  readonly rules: LogitsProcessors;
  readonly endOfText: number;
  /** Most tokens of an answer. */
  readonly maxTokens: number;
  /** 0: the likeliest token each time. */
  readonly temperature: number;
  /** Sequences sampled side by side; 1 at temperature 0. */
  readonly count: number;
  /** Gives [0, 1). */
  readonly random: () => number;
  /** Whether two tokens would write different words. Given: decoding stops at the first doubtful word. */
  readonly differ?: ((token: number, rival: number) => boolean) | undefined;
  /** Called before each run of the decoder; throws to stop. */
  readonly yieldToEventLoop: () => Promise<void>;
}

/** Mean logarithm of the probabilities, as the reference counts it: the end of text is a token whether it came or not. */
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
 * Greedy decoding, or `count` sequences sampled side by side: the likeliest by its mean is returned. Source: GreedyDecoder
 * and MaximumLikelihoodRanker of OpenAI's whisper/decoding.py.
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
  // Every sequence begins with the same scores, over which the rules are applied once and again.
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

/** The row's next token: the likeliest or a drawn one. */
function choose(row: Row, logits: Float32Array, options: SearchOptions): void {
  options.rules.apply(logits, row.tokens);
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
    row.done = row.tokens.length >= options.maxTokens;
  }
}
