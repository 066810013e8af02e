import type { SampleBuffer } from '../decoding/sample-buffer.js';
import type { SpeechSegment } from '../speech.js';
import { type HeardLanguage, type Hearing, hearWindow } from './hearing.js';
import { WINDOW_SAMPLES } from './length.js';

/** After an attempt this hot the text before is no guide any more; the reference's prompt_reset_on_temperature. */
const RESET_ABOVE_TEMPERATURE = 0.5;
/** More tokens than this are never used as a prompt. */
const KEPT_TOKENS = 448;

/** What came of a window, or of a passage of several. */
export interface HeardPart extends HeardLanguage {
  readonly segments: readonly SpeechSegment[];
  /** Up to here the recording is done, in seconds from its start. */
  readonly doneSeconds: number;
}

/**
 * Windows one after the other: each begins where the last time of the one before stands, the text before as its prompt.
 * Keeps one window of audio, however long the recording is.
 */
export async function* hearOneByOne(audio: SampleBuffer, hearing: Hearing): AsyncGenerator<HeardPart, void, void> {
  const { options } = hearing;
  let { language, initialPrompt: promptText } = options;
  let languageProbability = language === undefined ? 0 : 1;
  let before: readonly number[] = [];
  let lastSpeechSeconds = 0;
  for (let seed = 0; await audio.fill(WINDOW_SAMPLES); seed++) {
    const heard = await hearWindow(hearing, {
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
    if (language === undefined) ({ language, languageProbability } = heard);
    before = heard.temperature > RESET_ABOVE_TEMPERATURE ? [] : heard.tokens.slice(-KEPT_TOKENS);
    promptText = undefined;
    lastSpeechSeconds = heard.lastSpeechSeconds;
    audio.drop(heard.advanceSamples);
    yield { segments: heard.segments, language, languageProbability, doneSeconds: audio.startSeconds };
  }
}
