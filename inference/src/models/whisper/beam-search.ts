import type { Decoder } from '../decoding/merged-decoder.js';
import { indicesOfHighest, logSumExp } from '../decoding/scores.js';
import { exchangeStateRows } from '../decoding/state-rows.js';
import type { Beginning, Hypothesis, SearchOptions } from './greedy-search.js';

/** A sequence still growing, and the row of the state it grows from. */
interface Beam {
  readonly tokens: readonly number[];
  readonly logProb: number;
  readonly row: number;
}

export type BeamOptions = Pick<SearchOptions, 'rules' | 'endOfText' | 'maxTokens' | 'yieldToEventLoop'> & {
  /** Sequences kept side by side. */
  readonly beamSize: number;
  /** So many times `beamSize` finished sequences end the search. */
  readonly patience: number;
  /** The likeliest is that of the highest log-probability over its length to this power. */
  readonly lengthPenalty: number;
};

/**
 * Beam search: the likeliest `beamSize` sequences grow side by side, one run of the decoder a token, until as many (times
 * `patience`) have ended; the best of these by its length is returned. Source: BeamSearchDecoder of OpenAI's
 * whisper/decoding.py; patience after Kasai et al., "A Call for Clarity in Beam Search"; length_penalty as faster-whisper's.
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
    const full = beams[0] === undefined || beams[0].tokens.length >= options.maxTokens;
    if (full || finished.length >= enough) break;
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
  const unfinished = beams.map(({ tokens, logProb }) => ({ tokens, logProb, doubtful: false }));
  const [first, ...others] = [...finished, ...unfinished.slice(0, Math.max(0, options.beamSize - finished.length))];
  if (first === undefined) return { tokens: [], logProb: Number.NEGATIVE_INFINITY, doubtful: false };
  const score = ({ logProb, tokens }: Hypothesis) => logProb / (tokens.length + 1) ** options.lengthPenalty;
  return others.reduce((best, one) => (score(one) > score(best) ? one : best), first);
}

/** The likeliest ways to go on, the likeliest first, and those that end before there are enough that go on. */
function grow(
  beams: readonly Beam[],
  logits: (row: number) => Float32Array,
  options: BeamOptions,
): { readonly beams: readonly Beam[]; readonly finished: readonly Hypothesis[] } {
  const candidates = beams.flatMap((beam) => {
    const scores = logits(beam.row);
    options.rules.apply(scores, beam.tokens);
    const total = logSumExp(scores);
    // One more than is kept: one of them may be the end.
    return indicesOfHighest(scores, options.beamSize + 1).map((token) => ({
      beam,
      token,
      logProb: beam.logProb + (scores[token] ?? 0) - total,
    }));
  });
  candidates.sort((one, other) => other.logProb - one.logProb);
  const next: Beam[] = [];
  const finished: Hypothesis[] = [];
  for (const { beam, token, logProb } of candidates) {
    if (next.length >= options.beamSize) break;
    if (token === options.endOfText) finished.push({ tokens: beam.tokens, logProb, doubtful: false });
    else next.push({ tokens: [...beam.tokens, token], logProb, row: beam.row });
  }
  return { beams: next, finished };
}
