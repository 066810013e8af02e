import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** Path of the Silero VAD weights in their npm package. */
export function voiceWeights(): string {
  const dirs = createRequire(import.meta.url).resolve.paths('@ricky0123/vad-web') ?? [];
  const files = dirs.map((dir) => join(dir, '@ricky0123/vad-web/dist/silero_vad_v6.onnx'));
  const found = files.find((file) => existsSync(file));
  if (found === undefined) throw new Error('Expected the npm package @ricky0123/vad-web to be installed. Run npm ci.');
  return found;
}
