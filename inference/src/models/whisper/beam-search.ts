import type { Decoder } from '../decoding/decoder.js';
import { indicesOfHighest, logSumExp } from '../decoding/scores.js';
import { exchangeStateRows } from '../decoding/state-rows.js';
import type { Beginning, Hypothesis, SearchOptions } from './greedy-search.js';

/** An unfinished sequence and the state row it continues. */
interface Beam {
  readonly tokens: readonly number[];
  readonly logProb: number;
  readonly row: number;
}

export type BeamOptions = Pick<
  SearchOptions,
  'processors' | 'endOfText' | 'maxTokens' | 'repeats' | 'yieldToEventLoop'
> & {
  /** Number of beams. */
  readonly beamSize: number;
  /** The search ends after `patience` x `beamSize` finished sequences. */
  readonly patience: number;
  /** Exponent of the length that divides the log-probability in the ranking. */
  readonly lengthPenalty: number;
};

/**
 * Beam search with `beamSize` beams, one decoder run per token. Ends when `patience` x `beamSize` sequences have
 * finished and returns the best by length-normalized score. Source: BeamSearchDecoder in OpenAI's whisper/decoding.py;
 * patience after Kasai et al., "A Call for Clarity in Beam Search"; length_penalty as in faster-whisper.
 */
export async function beamSearch(
  decoder: Pick<Decoder, 'step'>,
  beginning: Beginning,
  options: BeamOptions,
): Promise<Hypothesis> {
  const finished: Hypothesis[] = [];
  const enough = Math.max(1, Math.round(options.beamSize * options.patience));
  let beams: readonly Beam[] = [{ tokens: [], logProb: 0, row: 0 }];
  let { state } = beginning;
  let logits: (row: number) => Float32Array = () => beginning.logits;
  for (;;) {
    const grown = grow(beams, logits, options);
    finished.push(...grown.finished.slice(0, enough - finished.length));
    beams = grown.beams;
    const [best] = beams;
    if (best === undefined || best.tokens.length >= options.maxTokens || finished.length >= enough) break;
    if (options.repeats?.(best.tokens) === true) break;
    await options.yieldToEventLoop();
    state = exchangeStateRows(
      state,
      beams.map(({ row }) => row),
    );
    const output = await decoder.step(
      state,
      beams.map(({ tokens }) => tokens.at(-1) ?? 0),
    );
    state = output.state;
    logits = (row) => output.logits(row);
    beams = beams.map((beam, row) => ({ ...beam, row }));
  }
  const unfinished = beams.map(({ tokens, logProb }) => ({ tokens, logProb }));
  const [first, ...others] = [...finished, ...unfinished.slice(0, Math.max(0, options.beamSize - finished.length))];
  if (first === undefined) return { tokens: [], logProb: Number.NEGATIVE_INFINITY };
  const score = ({ logProb, tokens }: Hypothesis) => logProb / (tokens.length + 1) ** options.lengthPenalty;
  return others.reduce((best, one) => (score(one) > score(best) ? one : best), first);
}

/** The most probable continuations in order, and the sequences that finish before enough continuations are found. */
function grow(
  beams: readonly Beam[],
  logits: (row: number) => Float32Array,
  options: BeamOptions,
): { readonly beams: readonly Beam[]; readonly finished: readonly Hypothesis[] } {
  const candidates = beams.flatMap((beam) => {
    const scores = logits(beam.row);
    options.processors.apply(scores, beam.tokens);
    const total = logSumExp(scores);
    // One more than is kept, because one may be the end of text.
    return indicesOfHighest(scores, options.beamSize + 1).map((token) => ({
      beam,
      token,
      logProb: beam.logProb + (scores[token] ?? 0) - total,
    }));
  });
  candidates.sort((a, b) => b.logProb - a.logProb);
  const next: Beam[] = [];
  const finished: Hypothesis[] = [];
  for (const { beam, token, logProb } of candidates) {
    if (next.length >= options.beamSize) break;
    if (token === options.endOfText) finished.push({ tokens: beam.tokens, logProb });
    else next.push({ tokens: [...beam.tokens, token], logProb, row: beam.row });
  }
  return { beams: next, finished };
}
