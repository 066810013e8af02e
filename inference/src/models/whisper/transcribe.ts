import type { Transcriber } from '../speech/speech.js';
import { openSpeech } from '../speech/speech-source.js';
import { transcribeChunked } from './chunked.js';
import { transcribeLiveWithWhisper } from './live.js';
import { transcribeSequentially } from './sequential.js';
import type { WhisperResult, WhisperWindow } from './window.js';

/**
 * Transcribes one audio file: window by window with the previous text as the prompt, or several windows at a time where
 * `conditionOnPreviousText` is false.
 */
export const transcribeWithWhisper: Transcriber<WhisperWindow, WhisperResult> = (source, options, submit, signal) => {
  const transcription = { options, submit, signal };
  if (options.live) return transcribeLiveWithWhisper(source, transcription);
  const transcribe = options.conditionOnPreviousText ? transcribeSequentially : transcribeChunked;
  return transcribe(openSpeech(source, options, submit, signal), transcription);
};
