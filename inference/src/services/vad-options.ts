/** VadParameters of the contract, checked, with their defaults filled in. */
import type { TranscribeOptions } from '@heimdex/gen';
import { SPEECH_SAMPLE_RATE_HZ } from '../media/audio/pcm.js';
import { STEP_SAMPLES } from '../models/silero/speech-timestamps.js';
import { VAD_OPTIONS, type VadOptions } from '../models/speech/vad-options.js';
import { checkNumber, invalid } from './check.js';

/** How far the lower threshold lies below the upper one, and the least it is, where it is not given. */
const NEG_THRESHOLD_BELOW = 0.15;
const MIN_NEG_THRESHOLD = 0.01;
/** An audio file keeps as much in memory as may yet turn out to be silence. */
const SPEECH_SECONDS = { min: 1, max: 300 };
const DURATION_MS = { min: 0, max: 30_000 };

/** Throws INVALID_ARGUMENT for a value outside its range, and for parameters without the filter. */
export function parseVadOptions(options: TranscribeOptions | undefined): VadOptions {
  const given = options?.vadParameters;
  if (given === undefined) return VAD_OPTIONS;
  const field = 'options.vad_parameters';
  if (options?.vadFilter !== true) throw invalid(field, 'needs vad_filter');
  const durationMs = (name: string, ms: number | undefined, fallback: number) =>
    checkNumber(`${field}.${name}`, ms, { ...DURATION_MS, fallback });
  const defaults = VAD_OPTIONS;
  const threshold = checkNumber(`${field}.threshold`, given.threshold, {
    min: 0,
    max: 1,
    fallback: defaults.threshold,
  });
  const speechPadMs = durationMs('speech_pad_ms', given.speechPadMs, defaults.speechPadMs);
  return {
    threshold,
    negThreshold: checkNumber(`${field}.neg_threshold`, given.negThreshold, {
      min: 0,
      max: threshold,
      fallback: Math.min(threshold, Math.max(threshold - NEG_THRESHOLD_BELOW, MIN_NEG_THRESHOLD)),
    }),
    minSpeechDurationMs: durationMs('min_speech_duration_ms', given.minSpeechDurationMs, defaults.minSpeechDurationMs),
    maxSpeechDurationSeconds: parseLongest(`${field}.max_speech_duration_s`, given.maxSpeechDurationS, speechPadMs),
    minSilenceDurationMs: durationMs(
      'min_silence_duration_ms',
      given.minSilenceDurationMs,
      defaults.minSilenceDurationMs,
    ),
    speechPadMs,
  };
}

function parseLongest(field: string, seconds: number | undefined, speechPadMs: number): number {
  if (seconds === undefined) return VAD_OPTIONS.maxSpeechDurationSeconds;
  const longest = checkNumber(field, seconds, { ...SPEECH_SECONDS, fallback: 0 });
  const least = (2 * speechPadMs) / 1000 + STEP_SAMPLES / SPEECH_SAMPLE_RATE_HZ;
  if (longest > least) return longest;
  throw invalid(field, `must be more than ${least}, twice speech_pad_ms and a step, got ${longest}`);
}
