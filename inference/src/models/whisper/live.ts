import { InferenceError } from '../../errors.js';
import { type PcmSource, SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import type { HypothesisWord } from '../speech/live/agreement.js';
import { type LiveHypothesis, type LivePass, transcribeLive } from '../speech/live/live.js';
import type { SpeechEvent } from '../speech/speech.js';
import { givenLanguage } from '../speech/transcript.js';
import { endOfSpeech } from './pauses.js';
import { MIN_REST_SAMPLES, type TranscribedWindow, type Transcription, transcribeWindow } from './transcribe-window.js';

/** Transcribes live speech with Whisper. A pass that is not the last of its window is decoded at the first temperature only. */
export function transcribeLiveWithWhisper(
  source: PcmSource,
  { options, submit, signal }: Transcription,
): AsyncGenerator<SpeechEvent, void, void> {
  const timed = { ...options, timestamps: 'word' } as const;
  const last: Transcription = { options: timed, submit, signal };
  const first: Transcription = { ...last, options: { ...timed, temperatures: options.temperatures.slice(0, 1) } };
  return transcribeLive(source, {
    decode: (pass) => decodePass(pass.last ? last : first, pass),
    language: options.language,
    submit,
    signal,
  });
}

async function decodePass(transcription: Transcription, pass: LivePass): Promise<LiveHypothesis> {
  const { initialPrompt, conditionOnPreviousText } = transcription.options;
  const before = conditionOnPreviousText ? pass.textBefore : '';
  const words: HypothesisWord[] = [];
  const speechEnd = endOfSpeech(pass.samples);
  let detected = givenLanguage(pass.language);
  let at = 0;
  do {
    const startSeconds = pass.startSeconds + at / SPEECH_SAMPLE_RATE_HZ;
    const window = await transcribed(transcription, {
      samples: pass.samples.slice(at),
      language: detected.language,
      promptTokens: [],
      promptText: before === '' ? initialPrompt : before,
      speechEnd: speechEnd - at,
      seed: Math.round(startSeconds * SPEECH_SAMPLE_RATE_HZ) >>> 0,
      startSeconds,
      lastSpeechSeconds: startSeconds,
      endSeconds: Number.POSITIVE_INFINITY,
    });
    if (detected.language === undefined) detected = window;
    for (const segment of window.segments) for (const word of segment.words) words.push({ ...word, segment });
    at += window.advanceSamples;
    // What is left before the pause may be only the end of the last word, of which the model makes up a sentence.
  } while (pass.last && speechEnd - at > MIN_REST_SAMPLES);
  return { words, language: detected.language, languageProbability: detected.languageProbability };
}

async function transcribed(
  transcription: Transcription,
  window: Parameters<typeof transcribeWindow>[1],
): Promise<TranscribedWindow> {
  try {
    return await transcribeWindow(transcription, window);
  } catch (error) {
    if (!(error instanceof InferenceError) || error.code !== 'TIMESTAMPS_UNSUPPORTED') throw error;
    throw new InferenceError(error.code, `options.live needs word timestamps. ${error.message}`, {
      field: 'options.live',
    });
  }
}
