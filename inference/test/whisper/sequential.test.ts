import { expect } from 'chai';
import type { SpeechOptions, SpeechSegment } from '../../src/models/speech/speech.js';
import { decodeWindow } from '../../src/models/whisper/decode.js';
import { transcribeWithWhisper } from '../../src/models/whisper/transcribe.js';
import type { DecodeResult, DecodeWindow } from '../../src/models/whisper/window.js';
import { CONTEXT } from '../support/paths.js';
import { eventsOf, SPEECH_OPTIONS, sourceOf } from '../support/speech.js';

const RATE = 16_000;
const SAMPLES = Float32Array.from({ length: 100 * RATE }, (_, at) => at % 997);

/** Windows that a worker was given for an audio file of 100 s; it says of each what `answer` says. */
async function windowsOf(
  answer: (index: number) => Partial<DecodeResult>,
  overrides: Partial<SpeechOptions> = {},
): Promise<readonly DecodeWindow[]> {
  const windows: DecodeWindow[] = [];
  const submit = async (window: DecodeWindow | { readonly type: 'vad' }): Promise<DecodeResult> => {
    if (window.type !== 'decode') throw new Error('Expected no voice activity.');
    const index = windows.push(window) - 1;
    return {
      type: 'decode',
      language: window.language ?? 'en',
      languageProbability: 1,
      segments: [],
      advanceSamples: window.samples.length,
      tokensBefore: window.promptText === undefined ? window.promptTokens : [7],
      tokens: [],
      temperature: 0,
      ...answer(index),
    };
  };
  const options = { ...SPEECH_OPTIONS, ...overrides };
  await eventsOf(transcribeWithWhisper(sourceOf(SAMPLES), options, submit, new AbortController().signal));
  return windows;
}

/** A text of one segment, and its number of tokens. */
function said(...tokens: readonly number[]): Pick<DecodeResult, 'segments' | 'tokens'> {
  const segment = {
    id: 0,
    startSeconds: 0,
    endSeconds: 1,
    text: ' word',
    tokens,
    avgLogProb: 0,
    compressionRatio: 1,
    noSpeechProb: 0,
    temperature: 0,
    words: [],
  };
  return { segments: [segment], tokens: [tokens] };
}

/** A segment of one word a second, from and to seconds of its window. */
function worded(startSeconds: number, endSeconds: number, probability: number): SpeechSegment {
  const words = Array.from({ length: endSeconds - startSeconds }, (_, at) => {
    return { text: ' word', startSeconds: startSeconds + at, endSeconds: startSeconds + at + 1, probability };
  });
  const text = words.map((word) => word.text).join('');
  return { ...(said(1).segments[0] as SpeechSegment), startSeconds, endSeconds, text, words };
}

describe('an audio file whose windows have the text before them', () => {
  it('gives each window the preceding text, and the first only the prompt', async () => {
    const windows = await windowsOf((index) => said(100 + index), { initialPrompt: 'Names.' });
    expect(windows.map(({ seed }) => seed)).to.deep.equal([0, 1, 2, 3]);
    expect(windows.map(({ promptText }) => promptText)).to.deep.equal(['Names.', undefined, undefined, undefined]);
    expect(windows.map(({ promptTokens }) => promptTokens)).to.deep.equal([
      [],
      [7, 100],
      [7, 100, 101],
      [7, 100, 101, 102],
    ]);
  });

  it('forgets the text after a temperature above 0.5, and not at 0.5', async () => {
    const windows = await windowsOf((index) => ({ ...said(100 + index), temperature: [0.5, 0.6, 0, 0][index] ?? 0 }));
    expect(windows.map(({ promptTokens }) => promptTokens)).to.deep.equal([[], [100], [], [102]]);
  });

  it('keeps no more of it than the model can read', async () => {
    const many = Array.from({ length: 400 }, (_, token) => token);
    const windows = await windowsOf(() => said(...many));
    expect(windows.map(({ promptTokens }) => promptTokens.length)).to.deep.equal([0, 400, 448, 448]);
    expect(windows.at(-1)?.promptTokens.at(-1)).to.equal(399);
  });

  it('begins each window at the last timestamp of the one before', async () => {
    const windows = await windowsOf(() => ({ advanceSamples: 25 * RATE }));
    expect(windows.map(({ samples }) => samples[0])).to.deep.equal(
      [0, 25, 50, 75].map((seconds) => (seconds * RATE) % 997),
    );
    expect(windows.map(({ samples }) => samples.length / RATE)).to.deep.equal([30, 30, 30, 25]);
  });

  it('has one language, the first detected in more than a word or two', async () => {
    const languages = ['ja', 'ko', 'en', 'zh'];
    const windows = await windowsOf((index) => ({ language: languages[index], segments: [worded(0, index + 2, 1)] }));
    expect(windows.map(({ language }) => language)).to.deep.equal([undefined, undefined, 'ko', 'ko']);
    // A word that has no end has the time of all of its window.
    const endless = { ...worded(0, 1, 1), endSeconds: 30 };
    const others = await windowsOf((index) => ({ language: languages[index], segments: [endless] }));
    expect(others.map(({ language }) => language)).to.deep.equal([undefined, undefined, undefined, undefined]);
  });

  it('goes on where the silence begins in which words were made up, if asked to', async () => {
    const answers: readonly (readonly SpeechSegment[])[] = [
      [worded(1, 4, 1), worded(12, 14, 0.1)],
      // Its silence began in the window before.
      [worded(3, 5, 0.1)],
      [],
      [],
      // Nothing else can be in the rest of the audio.
      [worded(3, 22, 0.1), worded(23, 24, 0.1)],
    ];
    const answer = (index: number) => ({ segments: answers[index] ?? [] });
    const at = (...seconds: readonly number[]) => seconds.map((second) => (second * RATE) % 997);
    const guarded = await windowsOf(answer, { hallucinationSilenceSeconds: 4 });
    expect(guarded.map(({ samples }) => samples[0])).to.deep.equal(at(0, 12, 15, 45, 75));
    expect(guarded.map(({ lastSpeechSeconds }) => lastSpeechSeconds)).to.deep.equal([0, -8, -11, -41, -71]);
    const all = await windowsOf(answer);
    expect(all.map(({ samples }) => samples[0])).to.deep.equal(at(0, 30, 60, 90));
  });

  it('is not done behind a silence in which a sound begins: the next window has it from its beginning', async () => {
    const silence = { promptText: undefined, promptTokens: [], options: SPEECH_OPTIONS };
    const [done, begun] = await Promise.all(
      [0, 0.1].map((loud) => {
        const samples = Float32Array.from({ length: 30 * RATE }, (_, at) => (at < 29.9 * RATE ? 0 : loud));
        return decodeWindow({} as never, { ...silence, samples } as never, CONTEXT as never);
      }),
    );
    expect([done?.advanceSamples, begun?.advanceSamples]).to.deep.equal([30 * RATE, 29.4 * RATE]);
  });
});
