import { expect } from 'chai';
import type { PcmSource } from '../../src/media/audio/pcm.js';
import type { SpeechEvent, SpeechOptions, SpeechSegment } from '../../src/models/speech/speech.js';
import { transcribeWithWhisper } from '../../src/models/whisper/transcribe.js';
import type { DecodeResult, DecodeWindow, WhisperResult, WhisperWindow } from '../../src/models/whisper/window.js';
import { eventsOf, SPEECH_OPTIONS, sourceOf } from '../support/speech.js';

const RATE = 16_000;

/** Sound whose every second begins with 0.4 s of silence; without pauses where `steady` says so. */
function sound(seconds: number, steady: (second: number) => boolean = () => false): Float32Array {
  const voice = Float32Array.from({ length: RATE }, (_, i) => 0.2 * Math.sin(i / 7) * (1.2 + Math.sin(i / 900)));
  const samples = new Float32Array(seconds * RATE);
  for (let second = 0; second < seconds; second += 1) {
    const quiet = steady(second) ? 0 : 0.4 * RATE;
    samples.set(voice.subarray(quiet), second * RATE + quiet);
  }
  return samples;
}

/** A segment whose every second has a word. */
function segment(startSeconds: number, endSeconds: number, tokens: readonly number[] = []): SpeechSegment {
  const scores = { avgLogProb: 0, compressionRatio: 1, noSpeechProb: 0, temperature: 0 };
  const text = ' word'.repeat(Math.ceil(endSeconds - startSeconds));
  return { id: 0, startSeconds, endSeconds, text, tokens, ...scores, words: [] };
}

/** A worker that returns one segment per window, from its start to its end, and says how many windows waited with it. */
class Worker {
  readonly windows: DecodeWindow[] = [];
  most = 0;
  #waiting = 0;

  constructor(readonly answer: (window: DecodeWindow, index: number) => Partial<DecodeResult> = () => ({})) {}

  async submit(window: WhisperWindow): Promise<WhisperResult> {
    if (window.type !== 'decode') throw new Error('Expected no voice activity.');
    const index = this.windows.push(window) - 1;
    this.#waiting += 1;
    this.most = Math.max(this.most, this.#waiting);
    await new Promise((resolve) => setImmediate(resolve));
    this.#waiting -= 1;
    return {
      type: 'decode',
      language: window.language ?? 'en',
      languageProbability: window.language === undefined ? 0.75 : 1,
      segments: [segment(0, window.samples.length / RATE, [index])],
      advanceSamples: window.samples.length,
      tokensBefore: [],
      tokens: [[index]],
      temperature: 0,
      ...this.answer(window, index),
    };
  }
}

function transcribe(worker: Worker, source: PcmSource, overrides: Partial<SpeechOptions> = {}): Promise<SpeechEvent[]> {
  const options = { ...SPEECH_OPTIONS, conditionOnPreviousText: false, ...overrides };
  return eventsOf(
    transcribeWithWhisper(source, options, (window) => worker.submit(window), new AbortController().signal),
  );
}

function segmentsOf(events: readonly SpeechEvent[]): { from: number; to: number; id: number }[] {
  return events.flatMap((event) =>
    event.type === 'segment'
      ? [{ from: event.segment.startSeconds, to: event.segment.endSeconds, id: event.segment.id }]
      : [],
  );
}

describe('an audio file whose windows do not depend on each other', () => {
  it('is cut in pauses, eight chunks in the queue at a time, nothing left out and nothing twice', async () => {
    const worker = new Worker();
    const samples = sound(270);
    const events = await transcribe(worker, sourceOf(samples), { initialPrompt: 'Ask not.' });
    expect(worker.most).to.equal(8);
    expect(worker.windows.map(({ promptText }) => promptText)).to.deep.equal([
      'Ask not.',
      ...new Array(worker.windows.length - 1).fill(undefined),
    ]);
    const segments = segmentsOf(events);
    expect(segments.map(({ id }) => id)).to.deep.equal(segments.map((_, index) => index));
    let at = 0;
    for (const { from, to } of segments) {
      expect(from).to.be.closeTo(at, 1e-9);
      at = to;
      // Each second begins with its pause.
      if (at < 270) expect(at % 1).to.be.within(0.1, 0.3);
    }
    expect(at).to.equal(270);
    const bytes = (part: Float32Array) => Buffer.from(part.buffer, part.byteOffset, part.byteLength);
    const transcribed = Buffer.concat(worker.windows.map((window) => bytes(window.samples)));
    expect(transcribed.equals(bytes(samples))).to.equal(true);
    const last = events.at(-1);
    expect(last?.type === 'summary' && last.summary).to.deep.include({ language: 'en', languageProbability: 0.75 });
  });

  it('continues from the last timestamp if a window has no pause', async () => {
    const worker = new Worker((_, index) => (index === 0 ? { advanceSamples: 20 * RATE } : {}));
    await transcribe(worker, sourceOf(sound(70, (second) => second < 31)));
    expect(worker.windows[0]?.samples.length).to.equal(30 * RATE);
    expect(worker.windows[0]?.speechEnd).to.equal(undefined);
    expect(worker.windows.slice(1).reduce((sum, { samples }) => sum + samples.length, 0)).to.equal(50 * RATE);
  });

  it('transcribes the rest of a chunk whose text ended early', async () => {
    const worker = new Worker(({ samples }, index) =>
      index === 1 ? { advanceSamples: samples.length - 5 * RATE } : {},
    );
    const events = await transcribe(worker, sourceOf(sound(80)));
    const rest = worker.windows.findIndex(({ samples }) => samples.length === 5 * RATE);
    expect(rest).to.be.above(1);
    const starts = segmentsOf(events).map(({ from }) => from);
    expect(starts).to.deep.equal([...starts].sort((one, other) => one - other));
  });

  it('has sentences once whose times were too early, so that they are found again in the rest of the chunk', async () => {
    const said = (text: string, from: number, to: number) => ({ ...segment(from, to), text });
    const answers = [
      { segments: [said(' One.', 0, 4), said(' Two.', 4, 7), said(' Three.', 7, 10)], advanceSamples: 10 * RATE },
      { segments: [said(' Two.', 2, 5), said(' Three.', 5, 8)], advanceSamples: 8 * RATE },
      // The same word again is said again.
      { segments: [said(' Three.', 1, 4)], advanceSamples: 7 * RATE },
    ];
    const events = await transcribe(new Worker((_, index) => answers[index] ?? {}), sourceOf(sound(25)));
    expect(segmentsOf(events)).to.deep.equal([
      { from: 0, to: 4, id: 0 },
      { from: 12, to: 15, id: 1 },
      { from: 15, to: 18, id: 2 },
      { from: 19, to: 22, id: 3 },
    ]);
  });

  it('begins a chunk shortly before its speech, with a whole window from there', async () => {
    const worker = new Worker();
    const samples = sound(100).fill(0, 6 * RATE, 45 * RATE);
    const events = await transcribe(worker, sourceOf(samples));
    const after = segmentsOf(events).find(({ from }) => from > 31);
    expect(after?.from).to.be.closeTo(44.9, 0.11);
    expect((after?.to ?? 0) - (after?.from ?? 0)).to.be.above(24);
    expect(segmentsOf(events).at(-1)?.to).to.equal(100);
  });

  it('does not take the language of a single word for that of the whole audio', async () => {
    const worker = new Worker(({ language, samples }, index) =>
      index === 0
        ? { language: 'ja', segments: [segment(0, 2)] }
        : { language: language ?? 'ko', segments: [segment(0, samples.length / RATE)] },
    );
    const events = await transcribe(worker, sourceOf(sound(270)));
    expect(worker.windows.slice(9).every(({ language }) => language === 'ko')).to.equal(true);
    expect(worker.windows.some(({ language }) => language === 'ja')).to.equal(false);
    expect(events.at(-1)).to.have.nested.property('summary.language', 'ko');
  });

  it('uses the first detected language', async () => {
    const worker = new Worker(({ language }, index) => ({ language: language ?? (index === 1 ? 'cy' : 'en') }));
    await transcribe(worker, sourceOf(sound(270)));
    const again = worker.windows.filter(({ samples }) => samples.length === worker.windows[1]?.samples.length);
    expect(worker.windows[1]?.language).to.equal(undefined);
    expect(again.map(({ language }) => language)).to.include('en');
    expect(worker.windows.slice(9).every(({ language }) => language === 'en')).to.equal(true);
  });

  it('is transcribed as it arrives: a complete chunk does not wait for the next one', async () => {
    let go = () => {};
    const later = new Promise<void>((resolve) => {
      go = resolve;
    });
    const source = sourceOf(sound(65));
    const slow: PcmSource = {
      ...source,
      async read(maxSamples) {
        reads += 1;
        if (reads === 32 * 4) await later;
        return source.read(maxSamples);
      },
    };
    let reads = 0;
    const worker = new Worker((_, index) => {
      if (index === 0) go();
      return {};
    });
    expect(segmentsOf(await transcribe(worker, slow)).at(-1)?.to).to.equal(65);
  });

  it('ends with the error of a window', async () => {
    const worker = new Worker((_, index) => {
      if (index === 2) throw new Error('the worker is gone');
      return {};
    });
    const error = await transcribe(worker, sourceOf(sound(150))).catch((reason: Error) => reason.message);
    expect(error).to.equal('the worker is gone');
  });
});
