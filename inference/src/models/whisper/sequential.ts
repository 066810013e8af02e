import type { SpeechEvent } from '../speech/speech.js';
import type { OpenedSpeech } from '../speech/speech-source.js';
import { SpokenLanguage } from '../speech/spoken-language.js';
import { Transcript } from '../speech/transcript.js';
import { WINDOW_SAMPLES } from './length.js';
import { type Transcription, transcribeWindow } from './transcribe-window.js';

/** Above this temperature the text is not used as the next prompt; prompt_reset_on_temperature in the reference. */
const RESET_ABOVE_TEMPERATURE = 0.5;
/** Maximum tokens of previous text kept for a prompt. */
const KEPT_TOKENS = 448;

/**
 * Transcribes windows in order: each begins at the last timestamp of the previous one and has its text as the prompt.
 * Holds one window of audio, whatever the length of the audio.
 */
export async function* transcribeSequentially(
  speech: OpenedSpeech,
  transcription: Transcription,
): AsyncGenerator<SpeechEvent, void, void> {
  const { audio } = speech;
  const transcript = new Transcript(speech);
  const language = new SpokenLanguage(transcription.options.language);
  let promptText = transcription.options.initialPrompt;
  let before: readonly number[] = [];
  let lastSpeechSeconds = 0;
  let seed = 0;
  for (;;) {
    const state = await audio.fillOrRest(WINDOW_SAMPLES);
    if (state === 'end') break;
    if (state === 'silence') {
      yield transcript.silence();
      continue;
    }
    const transcribed = await transcribeWindow(transcription, {
      samples: audio.peek(WINDOW_SAMPLES),
      language: language.final,
      promptTokens: promptText === undefined ? before : [],
      promptText,
      speechEnd: undefined,
      seed,
      startSeconds: audio.startSeconds,
      lastSpeechSeconds,
      endSeconds: audio.endSeconds,
    });
    language.add(transcribed, transcribed.segments);
    before = transcribed.temperature > RESET_ABOVE_TEMPERATURE ? [] : transcribed.tokens.slice(-KEPT_TOKENS);
    promptText = undefined;
    seed += 1;
    lastSpeechSeconds = transcribed.lastSpeechSeconds;
    audio.drop(transcribed.advanceSamples);
    yield* transcript.part(transcribed.segments, audio.startSeconds);
  }
  yield transcript.summary(language.detected);
}
