import type { SampleBuffer } from '../speech/sample-buffer.js';
import type { SpeechSegment } from '../speech/speech.js';
import { WINDOW_SAMPLES } from './length.js';
import { type DetectedLanguage, type Transcription, transcribeWindow } from './transcribe-window.js';

/** After an attempt this hot the text before is no guide any more; the reference's prompt_reset_on_temperature. */
const RESET_ABOVE_TEMPERATURE = 0.5;
/** More tokens than this are never used as a prompt. */
const KEPT_TOKENS = 448;

/** What came of a window, or of a passage of several. */
export interface TranscribedPart extends DetectedLanguage {
  readonly segments: readonly SpeechSegment[];
  /** Up to here what is heard is done, in seconds from its start; absent after a silence that was left out. */
  readonly doneSeconds: number | undefined;
}

/**
 * Windows one after the other: each begins where the last time of the one before stands, the text before as its prompt.
 * Keeps one window of audio, however long the audio is.
 */
export async function* transcribeSequentially(
  audio: SampleBuffer,
  transcription: Transcription,
): AsyncGenerator<TranscribedPart, void, void> {
  const { options } = transcription;
  let { language, initialPrompt: promptText } = options;
  let languageProbability = language === undefined ? 0 : 1;
  let before: readonly number[] = [];
  let lastSpeechSeconds = 0;
  let seed = 0;
  for (;;) {
    const state = await audio.fillOrRest(WINDOW_SAMPLES);
    if (state === 'end') return;
    if (state === 'silence') {
      yield { segments: [], language, languageProbability, doneSeconds: undefined };
      continue;
    }
    const transcribed = await transcribeWindow(transcription, {
      samples: audio.peek(WINDOW_SAMPLES),
      language,
      promptTokens: promptText === undefined ? before : [],
      promptText,
      speechEnd: undefined,
      seed,
      startSeconds: audio.startSeconds,
      lastSpeechSeconds,
      endSeconds: audio.endSeconds,
    });
    if (language === undefined) ({ language, languageProbability } = transcribed);
    before = transcribed.temperature > RESET_ABOVE_TEMPERATURE ? [] : transcribed.tokens.slice(-KEPT_TOKENS);
    promptText = undefined;
    seed += 1;
    lastSpeechSeconds = transcribed.lastSpeechSeconds;
    audio.drop(transcribed.advanceSamples);
    yield { segments: transcribed.segments, language, languageProbability, doneSeconds: audio.startSeconds };
  }
}
