import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import type { PcmSource } from '../../src/media/audio/pcm.js';
import type { VadResult, VadWindow } from '../../src/models/silero/window.js';
import type { HypothesisWord } from '../../src/models/speech/live/agreement.js';
import { type LiveHypothesis, type LivePass, transcribeLive } from '../../src/models/speech/live/live.js';
import type { SpeechEvent, SpeechSegment } from '../../src/models/speech/speech.js';
import { transcribeWithWhisper } from '../../src/models/whisper/transcribe.js';
import type { WhisperResult, WhisperWindow } from '../../src/models/whisper/window.js';
import { eventsOf, SPEECH_OPTIONS } from '../support/speech.js';

const RATE = 16_000;
const STEP = 512;
const WORD_SECONDS = 0.5;
const SEGMENT = { id: 0, tokens: [] } as unknown as SpeechSegment;

/** Says one word after the other, half a second each, from `startSeconds` on. */
function said(startSeconds: number, text: string): HypothesisWord[] {
  return text.split(' ').map((word, index) => {
    const start = startSeconds + index * WORD_SECONDS;
    const times = { startSeconds: start, endSeconds: start + WORD_SECONDS };
    return { text: ` ${word}`, ...times, probability: 1, segment: SEGMENT };
  });
}

/** The audio in which the words are loud, a tenth of a second after the other: what came before has been decoded. */
function spoken(seconds: number, words: readonly HypothesisWord[]): PcmSource {
  const samples = new Float32Array(seconds * RATE);
  for (const { startSeconds, endSeconds } of words) samples.fill(1, startSeconds * RATE, endSeconds * RATE);
  let at = 0;
  return {
    warnings: [],
    async read() {
      await turn();
      if (at >= samples.length) return null;
      at += RATE / 10;
      return samples.slice(at - RATE / 10, at);
    },
    async close() {},
  };
}

/** Transcribes live what is said; by default a pass finds the words that its window has whole. */
async function live(
  seconds: number,
  words: readonly HypothesisWord[],
  decoded: (pass: LivePass) => Partial<LiveHypothesis> = () => ({}),
): Promise<{ readonly passes: readonly LivePass[]; readonly events: readonly SpeechEvent[] }> {
  const passes: LivePass[] = [];
  const events = transcribeLive(spoken(seconds, words), {
    language: undefined,
    signal: new AbortController().signal,
    async decode(pass): Promise<LiveHypothesis> {
      passes.push(pass);
      const found = words.filter((word) => word.startSeconds >= pass.startSeconds && word.endSeconds <= endOf(pass));
      return { words: found, language: 'en', languageProbability: 0.5, ...decoded(pass) };
    },
    submit: voiceActivity,
  });
  return { events: await eventsOf(events), passes };
}

async function voiceActivity({ samples }: VadWindow): Promise<VadResult> {
  const steps = Math.ceil(samples.length / STEP);
  const probabilities = Float32Array.from({ length: steps }, (_, step) => samples[step * STEP] ?? 0);
  return { type: 'vad', probabilities, state: { hidden: new Float32Array(0), context: new Float32Array(0) } };
}

/** Seconds at which the further windows begin that Whisper is given for two words from 1 s to 2 s, where its text leaves out the end of them. */
async function furtherWindows(leftOutSeconds: number): Promise<readonly number[]> {
  const starts = new Set<number>();
  const restSeconds = 2 - leftOutSeconds;
  const submit = async (window: WhisperWindow): Promise<WhisperResult> => {
    if (window.type === 'vad') return voiceActivity(window);
    const startSeconds = window.seed / RATE;
    starts.add(startSeconds);
    const advanceSamples = startSeconds < restSeconds ? (restSeconds - startSeconds) * RATE : window.samples.length;
    const text = { segments: [], tokens: [], tokensBefore: [], temperature: 0 };
    return { type: 'decode', language: 'ko', languageProbability: 1, advanceSamples, ...text };
  };
  const options = { ...SPEECH_OPTIONS, live: true };
  const { signal } = new AbortController();
  await eventsOf(transcribeWithWhisper(spoken(4, said(1, 'One two.')), options, submit, signal));
  return [...starts].slice(1);
}

function endOf({ startSeconds, samples }: LivePass): number {
  return startSeconds + samples.length / RATE;
}

function segmentsOf(events: readonly SpeechEvent[]): string[] {
  return events.flatMap((event) => (event.type === 'segment' ? event.segment.text : []));
}

describe('live speech', () => {
  it('decodes what is said with 0.4 s before and after it, and no silence', async () => {
    const { passes, events } = await live(9, [...said(2, 'One two three four.'), ...said(6, 'Five.')]);
    const last = passes.filter((pass) => pass.last).map((pass) => [pass.startSeconds, endOf(pass)]);
    // In steps of 0.032 s.
    for (const [index, [start, end]] of [[1.6, 4.4] as const, [5.6, 6.9] as const].entries()) {
      expect(last[index]?.[0], 'start').to.be.closeTo(start, 0.04);
      expect(last[index]?.[1], 'end').to.be.closeTo(end, 0.04);
    }
    expect(last).to.have.length(2);
    expect(passes.at(-1)?.textBefore).to.equal(' One two three four.');
    expect(segmentsOf(events).join('')).to.equal(' One two three four. Five.');
    const summary = events.at(-1);
    if (summary?.type !== 'summary') throw new Error('Expected a summary at the end.');
    expect(summary.summary).to.include({ durationSeconds: 9, language: 'en', languageProbability: 0.5 });
    expect(summary.summary.speechSeconds).to.be.closeTo(2.8 + 1.3, 0.1);
  });

  it('decodes a growing window every 0.77 s, and shows what only the last pass has found', async () => {
    const { passes, events } = await live(6, said(1, 'One two three four five six seven eight'));
    const ends = passes.filter((pass) => !pass.last).map(endOf);
    for (const [index, end] of ends.entries()) {
      expect(end - (ends[index - 1] ?? 1), `pass ${index}`).to.be.within(0.768, 0.9);
    }
    expect(ends.length).to.be.within(4, 6);
    const shown = events.flatMap((event) => (event.type === 'partial' ? event.partial.text : []));
    expect(shown.slice(0, 2)).to.deep.equal([' One', ' two three']);
    expect(shown.at(-1)).to.equal('');
    expect(segmentsOf(events)[0]).to.equal(' One');
    expect(segmentsOf(events).join('')).to.equal(' One two three four five six seven eight');
  });

  for (const [name, sentence, mostSeconds] of [
    ['sentence', 'It goes on. ', 12],
    ['word', 'it goes on ', 18],
  ] as const) {
    it(`cuts the window of a long utterance behind a ${name}, whose text is before the next`, async () => {
      const words = said(1, sentence.repeat(30).trim());
      const { passes, events } = await live(48, words);
      const all = words.map(({ text }) => text).join('');
      expect(segmentsOf(events).join('')).to.equal(all);
      expect(Math.max(...passes.map(({ samples }) => samples.length / RATE))).to.be.at.most(mostSeconds);
      for (const { startSeconds, textBefore } of passes) {
        const before = words.filter((word) => word.endSeconds <= startSeconds).map(({ text }) => text);
        expect(textBefore, `before ${startSeconds} s`).to.equal(before.join('').slice(-200));
      }
    });
  }

  it('makes all of a window final after 24 s in which nothing could be agreed on', async () => {
    let count = 0;
    const { passes, events } = await live(43, said(1, 'a '.repeat(80).trim()), (pass) => {
      count += 1;
      return { words: said(pass.startSeconds, `other${count}`) };
    });
    const last = passes.filter((pass) => pass.last);
    expect(last).to.have.length(2);
    expect((last[0]?.samples.length ?? 0) / RATE).to.be.within(24, 25);
    expect(segmentsOf(events)).to.have.length(2);
  });

  it('has the language of its first three seconds of complete utterances, not of a first word', async () => {
    const words = [...said(1, 'One.'), ...said(3, 'Two three four five six seven.'), ...said(8, 'Eight.')];
    const { passes, events } = await live(10, words, ({ last, startSeconds }) => ({
      language: startSeconds < 2 || !last ? 'ja' : 'ko',
      languageProbability: 1,
    }));
    const given = passes.map(({ startSeconds, language }) => ({ startSeconds, language }));
    const [before, after] = [
      given.filter((pass) => pass.startSeconds < 7),
      given.filter((pass) => pass.startSeconds > 7),
    ];
    expect(before.map(({ language }) => language)).to.deep.equal(before.map(() => undefined));
    expect(after.map(({ language }) => language)).to.deep.equal(after.map(() => 'ko'));
    expect(after).not.to.deep.equal([]);
    expect(events.at(-1)).to.have.nested.property('summary.language', 'ko');
  });

  it('decodes what Whisper has left out before a pause, but not the end of a word, of which it makes up a sentence', async () => {
    expect(await furtherWindows(0.75)).to.deep.equal([1.25]);
    expect(await furtherWindows(0.25)).to.deep.equal([]);
  });
});
