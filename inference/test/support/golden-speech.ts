import { expect } from 'chai';
import type { SpeechEvent, SpeechSegment, SpeechSummary } from '../../src/models/speech/speech.js';
import { inShared, readJsonFile } from './paths.js';
import { plainWords, samplesOf, textOf } from './speech.js';
import { transcribeWith, type WhisperModel } from './whisper.js';

/** Results of faster-whisper in float32 for the audio files next to the repository, by name. */
export type GoldenSpeech = Readonly<
  Record<
    string,
    {
      readonly language?: string;
      readonly language_probability?: number;
      readonly duration?: number;
      readonly text?: string;
      readonly segments: readonly {
        readonly start: number;
        readonly end: number;
        readonly words: readonly (readonly [number, number, string, number])[];
      }[];
    }
  >
>;

export function goldenSpeech(): GoldenSpeech {
  return readJsonFile<{ readonly speech: GoldenSpeech }>(inShared('golden/speech.json')).speech;
}

export function segmentsOf(events: readonly SpeechEvent[]): SpeechSegment[] {
  return events.flatMap((event) => (event.type === 'segment' ? [event.segment] : []));
}

export function summaryOf(events: readonly SpeechEvent[]): SpeechSummary | undefined {
  const last = events.at(-1);
  return last?.type === 'summary' ? last.summary : undefined;
}

/**
 * Expects the words, the language, the times of segments within a second, and those of words 0.15 s off at the median and 0.4 s at the
 * worst.
 */
export async function expectGoldenSpeech(model: WhisperModel, golden: GoldenSpeech): Promise<void> {
  const off: number[] = [];
  for (const [name, expected] of Object.entries(golden)) {
    if (expected.text === undefined) continue;
    const samples = await samplesOf(inShared(`samples/speech/${name}`));
    const events = await transcribeWith(model, samples, { timestamps: 'word' });
    expect(plainWords(textOf(events)), name).to.equal(plainWords(expected.text));
    const summary = summaryOf(events);
    expect(summary?.language, name).to.equal(expected.language);
    expect(summary?.languageProbability, name).to.be.closeTo(expected.language_probability ?? 0, 0.05);
    expect(summary?.durationSeconds, name).to.be.closeTo(expected.duration ?? 0, 0.01);
    const segments = segmentsOf(events);
    expect(segments[0]?.startSeconds, name).to.be.closeTo(expected.segments[0]?.start ?? -1, 1);
    expect(segments.at(-1)?.endSeconds, name).to.be.closeTo(expected.segments.at(-1)?.end ?? -1, 1);
    const words = segments.flatMap((segment) => segment.words);
    const theirs = expected.segments.flatMap((segment) => segment.words);
    expect(
      words.map(({ text }) => plainWords(text)),
      name,
    ).to.deep.equal(theirs.map(([, , text]) => plainWords(text)));
    const signs = (text: string | undefined) => text?.replace(/[\p{L}\p{N}' ]/gu, '') ?? '';
    words.forEach((word, index) => {
      const [start, end] = theirs[index] ?? [-9, -9];
      // A pause belongs to the sign in it, or to the word behind it, which then begins earlier: a matter of the last digits.
      const afterPause = signs(words[index - 1]?.text) !== '' || signs(theirs[index - 1]?.[2]) !== '';
      off.push(Math.abs(afterPause ? word.endSeconds - end : word.startSeconds - start));
      expect(word.endSeconds).to.be.at.least(word.startSeconds);
      expect(word.probability).to.be.within(0, 1);
    });
    for (const segment of segments) {
      expect(segment.words.map(({ text }) => text).join('')).to.equal(segment.text);
      expect(segment.startSeconds).to.equal(segment.words[0]?.startSeconds);
    }
  }
  off.sort((one, other) => one - other);
  expect(off[off.length >> 1]).to.be.at.most(0.15);
  expect(off.at(-1)).to.be.at.most(0.4);
}
