import { type ErrorCode, InferenceError } from '../../errors.js';
import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import type { SpeechOptions, SpeechSegment, Transcriber } from '../speech/speech.js';
import { openSpeech } from '../speech/speech-source.js';
import { givenLanguage, Transcript } from '../speech/transcript.js';
import { audible, firstPause, quietestCut } from './utterances.js';
import type { MoonshineResult, MoonshineWindow, UtteranceResult } from './window.js';

/** Maximum length of an utterance; few training examples were longer. Longer audio is cut at pauses. */
const MAX_UTTERANCE_SAMPLES = 15 * SPEECH_SAMPLE_RATE_HZ;

/** Transcribes one audio file with Moonshine, utterance by utterance. English only; times are those of the cuts. */
export const transcribeWithMoonshine: Transcriber<MoonshineWindow, MoonshineResult> = async function* (
  source,
  options,
  submit,
  signal,
) {
  checkOptions(options);
  const speech = openSpeech(source, options, submit, signal);
  const { audio } = speech;
  const transcript = new Transcript(speech);
  let speechSamples = 0;
  let isFirst = true;
  for (;;) {
    const state = await audio.fillOrRest(MAX_UTTERANCE_SAMPLES);
    if (state === 'end') break;
    if (state === 'silence') {
      yield transcript.silence();
      continue;
    }
    const start = Math.round(audio.startSeconds * SPEECH_SAMPLE_RATE_HZ);
    const samples = audio.peek(MAX_UTTERANCE_SAMPLES);
    const whole = samples.length < MAX_UTTERANCE_SAMPLES;
    const length = firstPause(samples) ?? (whole ? samples.length : quietestCut(samples));
    const sound = audible(samples.subarray(0, length));
    const segments: SpeechSegment[] = [];
    if (sound !== undefined) {
      speechSamples += sound.end - sound.start;
      const result = await submit({ type: 'utterance', samples: samples.slice(sound.start, sound.end) }, signal);
      if (result.type === 'utterance' && isSpeech(result, options)) {
        segments.push(toSegment(result, isFirst, start + sound.start, start + sound.end));
        isFirst = false;
      }
    }
    audio.drop(length);
    yield* transcript.part(segments, audio.startSeconds);
  }
  const spokenSeconds = options.vadFilter ? undefined : speechSamples / SPEECH_SAMPLE_RATE_HZ;
  yield transcript.summary(givenLanguage('en'), spokenSeconds);
};

function checkOptions({ language, live, task, timestamps }: SpeechOptions): void {
  if (language !== undefined && language !== 'en') {
    const understood = `Expected language "en", got "${language}". Moonshine understands English; serve Whisper for other languages`;
    throw refused('LANGUAGE_UNSUPPORTED', 'language', `${understood} ${WHISPER}.`);
  }
  if (live) {
    const message = `Moonshine does not support live. Serve Whisper for it ${WHISPER}, or leave live out.`;
    throw refused('TIMESTAMPS_UNSUPPORTED', 'live', message);
  }
  if (task === 'translate') {
    throw refused('INVALID_ARGUMENT', 'task', `Moonshine does not translate. Serve Whisper for it ${WHISPER}.`);
  }
  if (timestamps === 'word') {
    const model = 'onnx-community/whisper-base_timestamped';
    const message = `Moonshine does not support word timestamps. Serve ${model} for them (ASR_MODEL=${model}).`;
    throw refused('TIMESTAMPS_UNSUPPORTED', 'timestamps', message);
  }
}

const WHISPER = '(for example ASR_MODEL=base)';

function refused(code: ErrorCode, option: keyof SpeechOptions, message: string): InferenceError {
  return new InferenceError(code, message, { field: `options.${option}` });
}

/** What the model says of noise is unsure or repeats itself; the thresholds are Whisper's. */
function isSpeech(result: UtteranceResult, options: SpeechOptions): boolean {
  return (
    result.text !== '' &&
    result.avgLogProb >= options.logProbThreshold &&
    result.compressionRatio <= options.compressionRatioThreshold
  );
}

function toSegment(result: UtteranceResult, isFirst: boolean, start: number, end: number): SpeechSegment {
  return {
    id: 0,
    startSeconds: start / SPEECH_SAMPLE_RATE_HZ,
    endSeconds: end / SPEECH_SAMPLE_RATE_HZ,
    text: isFirst ? result.text : ` ${result.text}`,
    tokens: result.tokens,
    avgLogProb: result.avgLogProb,
    compressionRatio: result.compressionRatio,
    noSpeechProb: 0,
    temperature: 0,
    words: [],
  };
}
