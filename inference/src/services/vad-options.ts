/** Validates VadParameters of the contract and fills in their defaults. */
import type { TranscribeOptions } from '@heimdex/gen';
import { SPEECH_SAMPLE_RATE_HZ } from '../media/audio/pcm.js';
import { STEP_SAMPLES } from '../models/silero/speech-timestamps.js';
import { VAD_OPTIONS, type VadOptions } from '../models/speech/vad-options.js';
import { checkNumber, fraction, invalid } from './check.js';

/** Default neg_threshold: threshold minus the offset, but at least the minimum. */
const NEG_THRESHOLD_OFFSET = 0.15;
const MIN_NEG_THRESHOLD = 0.01;
/** Bounded because that much audio is buffered per call until a pause is found. */
const SPEECH_SECONDS = { min: 1, max: 300 };
const DURATION_MS = { min: 0, max: 30_000 };

/** Parses the VAD parameters. Throws INVALID_ARGUMENT for a value outside its range, and for parameters without vad_filter. */
export function parseVadOptions(options: TranscribeOptions | undefined): VadOptions {
  const given = options?.vadParameters;
  if (given === undefined) return VAD_OPTIONS;
  const field = 'options.vad_parameters';
  if (options?.vadFilter !== true) throw invalid(field, 'needs vad_filter');
  const durationMs = (name: string, ms: number | undefined, fallback: number) =>
    checkNumber(`${field}.${name}`, ms, { ...DURATION_MS, fallback });
  const defaults = VAD_OPTIONS;
  const threshold = checkNumber(`${field}.threshold`, given.threshold, fraction(defaults.threshold));
  const speechPadMs = durationMs('speech_pad_ms', given.speechPadMs, defaults.speechPadMs);
  return {
    threshold,
    negThreshold: checkNumber(`${field}.neg_threshold`, given.negThreshold, {
      min: 0,
      max: threshold,
      fallback: Math.min(threshold, Math.max(threshold - NEG_THRESHOLD_OFFSET, MIN_NEG_THRESHOLD)),
    }),
    minSpeechDurationMs: durationMs('min_speech_duration_ms', given.minSpeechDurationMs, defaults.minSpeechDurationMs),
    maxSpeechDurationSeconds: parseMaxSpeech(`${field}.max_speech_duration_s`, given.maxSpeechDurationS, speechPadMs),
    minSilenceDurationMs: durationMs(
      'min_silence_duration_ms',
      given.minSilenceDurationMs,
      defaults.minSilenceDurationMs,
    ),
    speechPadMs,
  };
}

function parseMaxSpeech(field: string, seconds: number | undefined, speechPadMs: number): number {
  if (seconds === undefined) return VAD_OPTIONS.maxSpeechDurationSeconds;
  const max = checkNumber(field, seconds, { ...SPEECH_SECONDS, fallback: 0 });
  const min = (2 * speechPadMs) / 1000 + STEP_SAMPLES / SPEECH_SAMPLE_RATE_HZ;
  if (max > min) return max;
  throw invalid(field, `must be greater than ${min} (2 * speech_pad_ms plus one step), got ${max}`);
}
