import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import type { SampleBuffer } from '../speech/sample-buffer.js';
import type { SpeechSegment } from '../speech/speech.js';
import { WINDOW_SAMPLES } from './length.js';
import { cutInPause, endOfSpeech } from './pauses.js';
import type { TranscribedPart } from './sequential.js';
import { type DetectedLanguage, type Transcription, transcribeWindow } from './transcribe-window.js';

/** Passages that are in the queue at the same time: with four a token costs half, with more hardly less. */
const AT_ONCE = 4;
/** What has been cut waits this long for more of an audio file that is still being sent. */
const GATHER_MS = 500;

/** Less sound than this is no rest of a chunk to be heard for itself: 0.6 s. */
const MIN_REST_SAMPLES = 0.6 * SPEECH_SAMPLE_RATE_HZ;

/** A part of an audio file that can be heard for itself. */
interface Chunk {
  readonly samples: Float32Array;
  readonly startSeconds: number;
  readonly endSeconds: number;
  readonly promptText: string | undefined;
  /** Where it ends no pause was found: the passage behind it begins where its last time stands. */
  readonly open: boolean;
}

interface TranscribedChunk extends DetectedLanguage {
  readonly segments: readonly SpeechSegment[];
  /** From the passage's start; less than its length only when it is open. */
  readonly advanceSamples: number;
}

/**
 * Windows that do not depend on each other, several in the queue at a time, so that the worker may decode them together. The
 * audio is cut in pauses; where there is none in a window, its last time tells where the next one begins, as it does one
 * by one. The cuts depend on the audio alone, and so do the words. Keeps four windows of audio.
 */
export async function* transcribeChunked(
  audio: SampleBuffer,
  transcription: Transcription,
): AsyncGenerator<TranscribedPart, void, void> {
  let { language } = transcription.options;
  let languageProbability = language === undefined ? 0 : 1;
  for await (const chunks of gather(audio, transcription.options.initialPrompt)) {
    if (chunks.length === 0) yield { segments: [], language, languageProbability, doneSeconds: undefined };
    const asked = language;
    const transcribed = await Promise.all(chunks.map((chunk) => transcribeChunk(transcription, chunk, asked)));
    for (const [index, chunk] of chunks.entries()) {
      let part = transcribed[index] as TranscribedChunk;
      if (language === undefined) ({ language, languageProbability } = part);
      // The first language that is heard is the audio's.
      else if (part.language !== undefined && part.language !== language) {
        part = await transcribeChunk(transcription, chunk, language);
      }
      if (chunk.open) audio.drop(part.advanceSamples);
      const doneSeconds = chunk.startSeconds + part.advanceSamples / SPEECH_SAMPLE_RATE_HZ;
      yield { segments: part.segments, language, languageProbability, doneSeconds };
    }
  }
}

/** Passages as they can be cut, as many together as there are without much waiting, none after a long silence. The caller drops an open one's audio. */
async function* gather(
  audio: SampleBuffer,
  initialPrompt: string | undefined,
): AsyncGenerator<readonly Chunk[], void, void> {
  let promptText = initialPrompt;
  let reading: Promise<Chunk | 'silence' | 'end'> | undefined;
  for (;;) {
    const chunks: Chunk[] = [];
    while (chunks.length < AT_ONCE && chunks.at(-1)?.open !== true) {
      reading ??= nextChunk(audio, promptText);
      if (chunks.length > 0 && !(await settlesWithin(reading, GATHER_MS))) break;
      const chunk = await reading;
      if (chunk === 'end') break;
      reading = undefined;
      if (chunk === 'silence') break;
      promptText = undefined;
      chunks.push(chunk);
    }
    if (chunks.length === 0 && reading !== undefined) return;
    yield chunks;
  }
}

async function nextChunk(audio: SampleBuffer, promptText: string | undefined): Promise<Chunk | 'silence' | 'end'> {
  const state = await audio.fillOrRest(WINDOW_SAMPLES);
  if (state !== 'samples') return state;
  const { startSeconds, endSeconds } = audio;
  const window = audio.peek(WINDOW_SAMPLES);
  const cut = window.length < WINDOW_SAMPLES ? window.length : cutInPause(window);
  const samples = cut === undefined ? window : window.subarray(0, cut);
  if (cut !== undefined) audio.drop(cut);
  return { samples, startSeconds, endSeconds, promptText, open: cut === undefined };
}

/** One passage, window by window: mostly one. */
async function transcribeChunk(
  transcription: Transcription,
  chunk: Chunk,
  given: string | undefined,
): Promise<TranscribedChunk> {
  const { samples, startSeconds, endSeconds, open } = chunk;
  const segments: SpeechSegment[] = [];
  let language = given;
  let languageProbability = given === undefined ? 0 : 1;
  const speechEnd = endOfSpeech(samples);
  let { promptText } = chunk;
  let lastSpeechSeconds = startSeconds;
  let at = 0;
  do {
    const seconds = startSeconds + at / SPEECH_SAMPLE_RATE_HZ;
    const transcribed = await transcribeWindow(transcription, {
      samples: samples.slice(at),
      language,
      promptTokens: [],
      promptText,
      speechEnd: open ? undefined : speechEnd - at,
      // The place in the audio: no two windows have the same.
      seed: Math.round(seconds * SPEECH_SAMPLE_RATE_HZ) >>> 0,
      startSeconds: seconds,
      lastSpeechSeconds,
      endSeconds,
    });
    if (language === undefined) ({ language, languageProbability } = transcribed);
    segments.push(...transcribed.segments);
    ({ lastSpeechSeconds } = transcribed);
    promptText = undefined;
    at = Math.min(samples.length, at + transcribed.advanceSamples);
    // The end of a chunk is a pause: what is left before it may be no more than the last word's own end.
  } while (!open && speechEnd - at > MIN_REST_SAMPLES);
  return { segments, language, languageProbability, advanceSamples: open ? at : samples.length };
}

/** Whether a promise settles in time; what it settles to is its owner's. */
async function settlesWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const settled = promise.then(
    () => true,
    () => true,
  );
  try {
    return await Promise.race([settled, late]);
  } finally {
    clearTimeout(timer);
  }
}
