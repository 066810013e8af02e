import type { SampleBuffer } from '../speech/sample-buffer.js';
import type { SpeechSegment } from '../speech/speech.js';
import { WINDOW_SAMPLES } from './length.js';
import { type DetectedLanguage, type Transcription, transcribeWindow } from './transcribe-window.js';

/** Above this temperature the text is not used as the next prompt; prompt_reset_on_temperature in the reference. */
const RESET_ABOVE_TEMPERATURE = 0.5;
/** Maximum tokens of previous text kept for a prompt. */
const KEPT_TOKENS = 448;

/** The result of a window, or of a chunk of several windows. */
export interface TranscribedPart extends DetectedLanguage {
  readonly segments: readonly SpeechSegment[];
  /** How far the audio is done, in seconds from its start. Absent after a skipped silence. */
  readonly doneSeconds: number | undefined;
}

/**
 * Transcribes windows in order: each begins at the last timestamp of the previous one and has its text as the prompt.
 * Holds one window of audio, whatever the length of the audio.
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
