import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import type { SampleBuffer } from '../speech/sample-buffer.js';
import type { SpeechEvent, SpeechSegment } from '../speech/speech.js';
import type { OpenedSpeech } from '../speech/speech-source.js';
import { SpokenLanguage } from '../speech/spoken-language.js';
import { givenLanguage, Transcript } from '../speech/transcript.js';
import { WINDOW_SAMPLES } from './length.js';
import { cutInPause, endOfSpeech, leadingSilence } from './pauses.js';
import { MIN_REST_SAMPLES, type TranscribedWindow, type Transcription, transcribeWindow } from './transcribe-window.js';

/**
 * Chunks in the queue at a time: four for each of two workers. Four in a run halve the cost per token; more gain little. With four for both, 146 s
 * take 1.13 times as long (Whisper base, 2 cores).
 */
const AT_ONCE = 8;
/** How long chunks already cut wait for more audio while the file is still arriving. */
const GATHER_MS = 500;

/** A part of an audio file that can be transcribed independently. */
interface Chunk {
  readonly samples: Float32Array;
  readonly startSeconds: number;
  readonly endSeconds: number;
  readonly promptText: string | undefined;
  /** The chunk ends without a pause; the next chunk begins at its last timestamp. */
  readonly open: boolean;
}

/**
 * Transcribes windows independently, several in the queue at a time, so that the worker can batch them. The audio is
 * cut at pauses. Where a window has no pause, its last timestamp says where the next one begins, as in sequential mode.
 * The cuts depend on the audio alone, so the words do too. Holds eight windows of audio.
 */
export async function* transcribeChunked(
  speech: OpenedSpeech,
  transcription: Transcription,
): AsyncGenerator<SpeechEvent, void, void> {
  const { audio } = speech;
  const transcript = new Transcript(speech);
  const language = new SpokenLanguage(transcription.options.language);
  for await (const chunks of gather(audio, transcription.options.initialPrompt)) {
    if (chunks.length === 0) yield transcript.silence();
    const known = language.final;
    const transcribed = await Promise.all(chunks.map((chunk) => transcribeChunk(transcription, chunk, known)));
    for (const [index, chunk] of chunks.entries()) {
      let part = transcribed[index] as TranscribedWindow;
      // It may have become certain by a chunk of this group.
      if (language.final !== undefined && part.language !== undefined && part.language !== language.final) {
        part = await transcribeChunk(transcription, chunk, language.final);
      }
      language.add(part, part.segments);
      if (chunk.open) audio.drop(part.advanceSamples);
      yield* transcript.part(part.segments, chunk.startSeconds + part.advanceSamples / SPEECH_SAMPLE_RATE_HZ);
    }
  }
  yield transcript.summary(language.detected);
}

/**
 * Yields groups of chunks: as many as can be cut without much waiting, none after a long silence. The caller drops the
 * audio of an open chunk.
 */
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
  // With silence before its speech, Whisper gives the text the time of the silence and expects more text after it.
  for (let skipped = Number.POSITIVE_INFINITY, whole = true; whole && skipped > 0; ) {
    const state = await audio.fillOrRest(WINDOW_SAMPLES);
    if (state !== 'samples') return state;
    whole = audio.length >= WINDOW_SAMPLES;
    skipped = leadingSilence(audio.peek(WINDOW_SAMPLES));
    audio.drop(skipped);
  }
  const { startSeconds, endSeconds } = audio;
  const window = audio.peek(WINDOW_SAMPLES);
  const cut = window.length < WINDOW_SAMPLES ? window.length : cutInPause(window);
  const samples = cut === undefined ? window : window.subarray(0, cut);
  if (cut !== undefined) audio.drop(cut);
  return { samples, startSeconds, endSeconds, promptText, open: cut === undefined };
}

/** Transcribes one chunk, usually a single window. It advances by less than its length only when it is open. */
async function transcribeChunk(
  transcription: Transcription,
  chunk: Chunk,
  given: string | undefined,
): Promise<TranscribedWindow> {
  const { samples, startSeconds, endSeconds, open } = chunk;
  const segments: SpeechSegment[] = [];
  let detected = givenLanguage(given);
  const speechEnd = endOfSpeech(samples);
  let { promptText } = chunk;
  let lastSpeechSeconds = startSeconds;
  let at = 0;
  let transcribed: TranscribedWindow;
  do {
    const seconds = startSeconds + at / SPEECH_SAMPLE_RATE_HZ;
    transcribed = await transcribeWindow(transcription, {
      samples: samples.slice(at),
      language: detected.language,
      promptTokens: [],
      promptText,
      speechEnd: open ? undefined : speechEnd - at,
      // The position in the audio, which is unique per window.
      seed: Math.round(seconds * SPEECH_SAMPLE_RATE_HZ) >>> 0,
      startSeconds: seconds,
      lastSpeechSeconds,
      endSeconds,
    });
    if (detected.language === undefined) detected = transcribed;
    segments.length -= mistimed(segments, transcribed.segments);
    segments.push(...transcribed.segments);
    ({ lastSpeechSeconds } = transcribed);
    promptText = undefined;
    at = Math.min(samples.length, at + transcribed.advanceSamples);
    // A chunk ends at a pause: what is left before it may be only the end of the last word.
  } while (!open && speechEnd - at > MIN_REST_SAMPLES);
  const { language, languageProbability } = detected;
  return { ...transcribed, language, languageProbability, segments, advanceSamples: open ? at : samples.length };
}

/**
 * Number of the last segments that are said again by all of what is left of their chunk, at least two. Behind noise, Whisper can give a text
 * the time of the noise: the text is complete, and what is left of the chunk has its last sentences again, at their true times.
 */
function mistimed(segments: readonly SpeechSegment[], rest: readonly SpeechSegment[]): number {
  const last = segments.slice(-rest.length);
  const isSame = rest.length >= 2 && rest.every(({ text }, index) => text === last[index]?.text);
  return isSame ? rest.length : 0;
}

/** Whether a promise settles within a time limit. The result stays with the promise's owner. */
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
