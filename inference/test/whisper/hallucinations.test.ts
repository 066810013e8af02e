import { expect } from 'chai';
import type { SpeechSegment } from '../../src/models/speech/speech.js';
import { type WindowSilence, withoutHallucinations } from '../../src/models/whisper/hallucinations.js';
import { inRepository, readJsonFile } from '../support/paths.js';

/** A segment of words half a second long; a probability below 0.15 makes them suspicious. */
function segmentAt(startSeconds: number, count: number, probability: number): SpeechSegment {
  const words = Array.from({ length: count }, (_, index) => ({
    text: ` word${index}`,
    startSeconds: startSeconds + index / 2,
    endSeconds: startSeconds + (index + 1) / 2,
    probability,
  }));
  return {
    id: 0,
    startSeconds,
    endSeconds: startSeconds + count / 2,
    text: words.map(({ text }) => text).join(''),
    tokens: [],
    avgLogProb: -0.2,
    compressionRatio: 1,
    noSpeechProb: 0,
    temperature: 0,
    words,
  };
}

const WINDOW: WindowSilence = {
  thresholdSeconds: 2,
  advanceSeconds: 28,
  windowSeconds: 30,
  startSeconds: 60,
  lastSpeechSeconds: -1,
  endSeconds: Number.POSITIVE_INFINITY,
};
const SURE = 0.9;
const UNSURE = 0.05;

describe('the hallucination filter', () => {
  it('keeps confident words with any silence around them', () => {
    const segments = [segmentAt(1, 4, SURE), segmentAt(15, 4, SURE)];
    expect(withoutHallucinations(segments, WINDOW)).to.deep.equal({ segments, advanceSeconds: 28 });
  });

  it('skips the silence before suspicious words that begin a window, and listens again from there', () => {
    for (const speechSeconds of [11, 15]) {
      const segments = [segmentAt(9, 4, UNSURE), segmentAt(speechSeconds, 4, SURE)];
      expect(withoutHallucinations(segments, WINDOW)).to.deep.equal({ segments: [], advanceSeconds: 9 });
    }
  });

  it('drops suspicious words between silences, and transcribes what follows them again', () => {
    const segments = [segmentAt(1, 4, SURE), segmentAt(12, 4, UNSURE), segmentAt(20, 4, SURE)];
    expect(withoutHallucinations(segments, WINDOW)).to.deep.equal({ segments: [segments[0]], advanceSeconds: 12 });
  });

  it('keeps suspicious words directly before speech, but not before other suspicious ones or near the end of the window', () => {
    const segments = [segmentAt(1, 4, SURE), segmentAt(12, 4, UNSURE), segmentAt(14.5, 4, SURE)];
    expect(withoutHallucinations(segments, WINDOW).segments).to.deep.equal(segments);
    const dropped = [segmentAt(1, 4, SURE), segmentAt(12, 4, UNSURE), segmentAt(14.5, 4, UNSURE)];
    expect(withoutHallucinations(dropped, WINDOW)).to.deep.equal({ segments: [dropped[0]], advanceSeconds: 12 });
    const last = [segmentAt(1, 4, SURE), segmentAt(26.5, 4, UNSURE)];
    expect(withoutHallucinations(last, WINDOW)).to.deep.equal({ segments: [last[0]], advanceSeconds: 26.5 });
  });

  it('suspects a segment of whose words three, or all, are improbable, and none without words', () => {
    const [before, behind] = [segmentAt(1, 4, SURE), segmentAt(25, 4, SURE)];
    const unsure = (count: number, of: number) => {
      const segment = segmentAt(12, of, SURE);
      return {
        ...segment,
        words: segment.words.map((word, at) => (at < count ? { ...word, probability: 0.1 } : word)),
      };
    };
    const isKept = (segment: SpeechSegment) =>
      withoutHallucinations([before, segment, behind], WINDOW).segments.length === 3;
    expect([unsure(2, 4), unsure(3, 8), unsure(2, 2), unsure(0, 0)].map(isKept)).to.deep.equal([
      true,
      false,
      false,
      true,
    ]);
  });

  it('drops hallucinations in the silence at the end', () => {
    const segments = [segmentAt(1, 4, SURE), segmentAt(12, 4, UNSURE)];
    expect(withoutHallucinations(segments, { ...WINDOW, windowSeconds: 18, endSeconds: 15 })).to.deep.equal({
      segments: [segments[0]],
      advanceSeconds: 15,
    });
  });

  it('takes a silence of exactly the threshold, and a distance of exactly 2 s from a border, for too little', () => {
    const [before, behind] = [segmentAt(1, 4, SURE), segmentAt(20, 4, SURE)];
    for (const [segments, window] of [
      [[segmentAt(2, 4, UNSURE), behind], { startSeconds: 0, lastSpeechSeconds: 0 }],
      [[before, segmentAt(5, 4, UNSURE), behind], {}],
      [[before, segmentAt(12, 4, UNSURE), segmentAt(16, 4, SURE)], {}],
      [[before, segmentAt(26, 4, UNSURE)], {}],
    ] as const)
      expect(withoutHallucinations(segments, { ...WINDOW, ...window }).segments).to.deep.equal(segments);
    const cut = [before, segmentAt(12, 4, UNSURE)];
    expect(withoutHallucinations(cut, { ...WINDOW, windowSeconds: 18, endSeconds: 16 }).advanceSeconds).to.equal(12);
  });

  it('advances by a second at least', () => {
    const segments = [segmentAt(0.5, 4, UNSURE), segmentAt(6, 4, SURE)];
    expect(withoutHallucinations(segments, WINDOW)).to.deep.equal({ segments: [], advanceSeconds: 1 });
  });

  it('treats implausibly long or short words as suspicious', () => {
    const long = segmentAt(12, 1, SURE);
    const prolonged = { ...long, words: [{ ...(long.words[0] as (typeof long.words)[0]), endSeconds: 15.5 }] };
    const segments = [segmentAt(1, 4, SURE), { ...prolonged, endSeconds: 15.5 }, segmentAt(20, 4, SURE)];
    expect(withoutHallucinations(segments, WINDOW).segments).to.have.length(1);
    const hasty = segmentAt(12, 4, SURE);
    const words = hasty.words.map((word) => ({ ...word, endSeconds: word.startSeconds + 0.01 }));
    const hurried = [segmentAt(1, 4, SURE), { ...hasty, words }, segmentAt(20, 4, SURE)];
    expect(withoutHallucinations(hurried, WINDOW).segments).to.have.length(1);
  });
});

/**
 * Windows of faster-whisper 1.2.1 (base, int8, greedy, word times), decoded without the option, and what it did with it at 2 s: how many of the
 * segments it kept, and where its next window began. The audio files are sentences of the demo with silence, or with speech backwards,
 * between and behind them, in which it makes up sentences.
 */
interface Guarded {
  readonly audioFile: string;
  readonly seconds: number;
  readonly start: number;
  readonly lastSpeech: number;
  /** Where the window after it begins without the option. */
  readonly next: number;
  /** Start, end, words; of a word start, end, probability and text. */
  readonly segments: readonly (readonly [number, number, readonly (readonly [number, number, number, string])[]])[];
  readonly kept: number;
  /** Null: there was none. */
  readonly guardedNext: number | null;
}

const GOLDEN = readJsonFile<Guarded[]>(inRepository('inference/test/whisper/hallucinations-golden.json'));

describe('the guard against faster-whisper', () => {
  for (const one of GOLDEN) {
    it(`keeps ${one.kept} of ${one.segments.length} segments, and continues at the same time: ${one.audioFile}, ${one.start} s`, () => {
      const segments = one.segments.map(
        ([start, end, words], id): SpeechSegment => ({
          ...segmentAt(0, 0, SURE),
          id,
          startSeconds: start - one.start,
          endSeconds: end - one.start,
          words: words.map(([from, to, probability, text]) => ({
            text,
            startSeconds: from - one.start,
            endSeconds: to - one.start,
            probability,
          })),
        }),
      );
      const guarded = withoutHallucinations(segments, {
        thresholdSeconds: 2,
        advanceSeconds: one.next - one.start,
        windowSeconds: Math.min(30, one.seconds - one.start),
        startSeconds: one.start,
        lastSpeechSeconds: one.lastSpeech - one.start,
        endSeconds: one.seconds - one.start,
      });
      expect(guarded.segments).to.deep.equal(segments.slice(0, one.kept));
      const next = one.start + guarded.advanceSeconds;
      expect(next).to.be.closeTo(one.guardedNext ?? one.seconds, 0.02);
    });
  }

  it('removes some segments and keeps some: the cases include both', () => {
    const changed = GOLDEN.filter(({ kept, segments }) => kept < segments.length);
    expect(changed.length).to.be.within(3, GOLDEN.length - 3);
  });
});
