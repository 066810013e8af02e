import { expect } from 'chai';
import type { PcmSource } from '../../src/media/audio/pcm.js';
import type { SpeechOptions } from '../../src/models/speech/speech.js';
import { VAD_OPTIONS } from '../../src/models/speech/vad-options.js';
import { transcribeWithWhisper } from '../../src/models/whisper/transcribe.js';
import type { WhisperResult, WhisperWindow } from '../../src/models/whisper/window.js';
import { SPEECH_OPTIONS } from '../support/speech.js';

const RATE = 16_000;
const SECONDS = 600;
const signal = new AbortController().signal;

/** Ten minutes of sound that is made as it is read, and how far ahead of what is done that is. */
class LongSound implements PcmSource {
  readonly warnings = [];
  doneSeconds = 0;
  furthestAhead = 0;
  #seconds = 0;
  /** A pause of 0.4 s a second. */
  readonly #second: Float32Array;

  constructor(readonly loud: boolean) {
    this.#second = Float32Array.from({ length: RATE }, (_, i) => (loud && i > 0.4 * RATE ? 0.2 * Math.sin(i / 7) : 0));
  }

  async read(): Promise<Float32Array | null> {
    if (this.#seconds >= SECONDS) return null;
    this.furthestAhead = Math.max(this.furthestAhead, this.#seconds - this.doneSeconds);
    this.#seconds += 1;
    return this.#second;
  }

  async close(): Promise<void> {}
}

describe('a long audio file', () => {
  async function goThrough(source: LongSound, overrides: Partial<SpeechOptions>): Promise<number[]> {
    const submit = async (window: WhisperWindow): Promise<WhisperResult> => {
      expect(window.samples.length).to.be.at.most(30 * RATE);
      if (window.type === 'vad') {
        const state = { hidden: new Float32Array(256), context: new Float32Array(64) };
        const probability = source.loud ? 1 : 0;
        return {
          type: 'vad',
          probabilities: new Float32Array(Math.ceil(window.samples.length / 512)).fill(probability),
          state,
        };
      }
      return {
        type: 'decode',
        language: 'en',
        languageProbability: 1,
        segments: [],
        advanceSamples: window.samples.length,
        tokensBefore: [],
        tokens: [],
        temperature: 0,
      };
    };
    const progress: number[] = [];
    const options = { ...SPEECH_OPTIONS, ...overrides };
    for await (const event of transcribeWithWhisper(source, options, submit, signal)) {
      if (event.type !== 'progress') continue;
      source.doneSeconds = event.processedSeconds;
      progress.push(event.processedSeconds);
    }
    return progress;
  }

  for (const [name, overrides, most] of [
    ['window by window', {}, 31],
    ['several windows at a time', { conditionOnPreviousText: false }, 241],
    ['with voice activity', { vadFilter: true }, 64],
    [
      'with voice activity that cuts',
      { vadFilter: true, vadOptions: { ...VAD_OPTIONS, maxSpeechDurationSeconds: 30 } },
      64,
    ],
  ] as const) {
    it(`is never held as a whole, ${name}`, async () => {
      const source = new LongSound(true);
      const progress = await goThrough(source, overrides);
      expect(source.furthestAhead).to.be.at.most(most);
      expect(progress.length).to.be.at.least(SECONDS / 30);
      expect(progress.at(-1)).to.be.closeTo(SECONDS, 1e-6);
    });
  }

  for (const [name, overrides] of [
    ['window by window', {}],
    ['with voice activity', { vadFilter: true }],
    ['with voice activity, several windows at a time', { vadFilter: true, conditionOnPreviousText: false }],
  ] as const) {
    it(`of silence tells how far it is, ${name}`, async () => {
      const progress = await goThrough(new LongSound(false), overrides);
      expect(progress.length).to.be.at.least(SECONDS / 30 - 10);
      expect(progress).to.deep.equal([...progress].sort((one, other) => one - other));
      expect(progress.at(-1)).to.be.closeTo(SECONDS, 40);
    });
  }
});
