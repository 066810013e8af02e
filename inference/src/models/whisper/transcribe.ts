import type { Transcriber } from '../speech/speech.js';
import { openSpeech } from '../speech/speech-source.js';
import { transcribeChunked } from './chunked.js';
import { transcribeLiveWithWhisper } from './live.js';
import { transcribeSequentially } from './sequential.js';
import type { DetectedLanguage } from './transcribe-window.js';
import type { WhisperResult, WhisperWindow } from './window.js';

/**
 * Transcribes one audio file: window by window with the previous text as the prompt, or several windows at a time where
 * `conditionOnPreviousText` is false.
 */
export const transcribeWithWhisper: Transcriber<WhisperWindow, WhisperResult> = async function* (
  source,
  options,
  submit,
  signal,
) {
  if (options.live) {
    yield* transcribeLiveWithWhisper(source, options, submit, signal);
    return;
  }
  const { audio, times, lengths, listenedSeconds } = openSpeech(source, options, submit, signal);
  const transcribe = options.conditionOnPreviousText ? transcribeSequentially : transcribeChunked;
  let transcribed: DetectedLanguage = {
    language: options.language,
    languageProbability: options.language === undefined ? 0 : 1,
  };
  let id = 0;
  for await (const part of transcribe(audio, { options, submit, signal })) {
    transcribed = part;
    for (const segment of part.segments) {
      yield { type: 'segment', segment: times.restore({ ...segment, id }) };
      id++;
    }
    const { doneSeconds } = part;
    yield {
      type: 'progress',
      processedSeconds: doneSeconds === undefined ? listenedSeconds() : times.endOf(doneSeconds),
    };
  }
  yield {
    type: 'summary',
    summary: {
      // No speech: English is the model's default, with probability 0.
      language: transcribed.language ?? 'en',
      languageProbability: transcribed.languageProbability,
      durationSeconds: lengths().durationSeconds,
      speechSeconds: lengths().keptSeconds,
    },
  };
};
