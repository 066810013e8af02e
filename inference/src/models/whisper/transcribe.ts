import { InferenceError } from '../../errors.js';
import { openSpeech } from '../silero/speech-source.js';
import { SPEECH_SAMPLE_RATE_HZ, type SpeechSegment, type Transcriber } from '../speech.js';
import type { DecodeOptions, DecodeResult, WhisperResult, WhisperWindow } from './window.js';

const WINDOW_SAMPLES = 30 * SPEECH_SAMPLE_RATE_HZ;
/** After an attempt this hot the text before is no guide any more; the reference's prompt_reset_on_temperature. */
const RESET_ABOVE_TEMPERATURE = 0.5;
/** More tokens than this are never used as a prompt. */
const KEPT_TOKENS = 448;

/**
 * One recording through Whisper: windows of 30 s, each beginning where the last time of the one before stands, the text
 * before as prompt. Keeps one window of audio in memory, however long the recording is.
 */
export const transcribeWithWhisper: Transcriber<WhisperWindow, WhisperResult> = async function* (
  source,
  options,
  submit,
  signal,
) {
  const { audio, times, lengths } = openSpeech(source, options, submit, signal);
  const decodeOptions: DecodeOptions = {
    task: options.task,
    timestamps: options.timestamps,
    hotwords: options.hotwords,
    temperatures: options.temperatures,
    beamSize: options.beamSize,
    compressionRatioThreshold: options.compressionRatioThreshold,
    logProbThreshold: options.logProbThreshold,
    noSpeechThreshold: options.noSpeechThreshold,
  };
  let language = options.language;
  let languageProbability = language === undefined ? 0 : 1;
  let before: number[] = [];
  let promptText = options.initialPrompt;
  let windowIndex = 0;
  let segmentId = 0;

  while (await audio.fill(WINDOW_SAMPLES)) {
    const start = audio.startSeconds;
    const answer = await submit(
      {
        type: 'decode',
        samples: audio.peek(WINDOW_SAMPLES),
        language,
        options: decodeOptions,
        promptTokens: promptText === undefined ? before : [],
        promptText,
        seed: windowIndex,
      },
      signal,
    );
    const result = decoded(answer);
    if (language === undefined) ({ language, languageProbability } = result);
    before = [...result.tokensBefore, ...result.tokens];
    promptText = undefined;
    before.splice(0, Math.max(0, before.length - KEPT_TOKENS));
    if (!options.conditionOnPreviousText || result.temperature > RESET_ABOVE_TEMPERATURE) before = [];
    for (const segment of result.segments) {
      yield { type: 'segment', segment: times.restore(shifted(segment, start, segmentId)) };
      segmentId++;
    }
    audio.drop(result.advanceSamples);
    windowIndex++;
    yield { type: 'progress', processedSeconds: times.endOf(audio.startSeconds) };
  }
  yield {
    type: 'summary',
    summary: {
      // Nothing was heard: English is the model's own first guess, of no probability.
      language: language ?? 'en',
      languageProbability,
      durationSeconds: lengths().durationSeconds,
      speechSeconds: lengths().keptSeconds,
    },
  };
};

function decoded(answer: WhisperResult): DecodeResult {
  if (answer.type !== 'decode') throw new InferenceError('INTERNAL', 'Expected a decoded window, got voice activity.');
  return answer;
}

/** A segment with its times and number in the recording instead of its window. */
function shifted(segment: SpeechSegment, seconds: number, id: number): SpeechSegment {
  return {
    ...segment,
    id,
    startSeconds: seconds + segment.startSeconds,
    endSeconds: seconds + segment.endSeconds,
    words: segment.words.map((word) => ({
      ...word,
      startSeconds: seconds + word.startSeconds,
      endSeconds: seconds + word.endSeconds,
    })),
  };
}
