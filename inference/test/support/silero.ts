import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** Where npm put the weights of Silero VAD, which come inside a package. */
export function voiceWeights(): string {
  const places = createRequire(import.meta.url).resolve.paths('@ricky0123/vad-web') ?? [];
  const files = places.map((place) => join(place, '@ricky0123/vad-web/dist/silero_vad_v6.onnx'));
  const found = files.find((file) => existsSync(file));
  if (found === undefined) throw new Error('Expected the npm package @ricky0123/vad-web to be installed. Run npm ci.');
  return found;
}

/** Recordings and silences one after the other. */
export function joined(pieces: readonly Float32Array[]): Float32Array {
  const samples = new Float32Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let offset = 0;
  for (const piece of pieces) {
    samples.set(piece, offset);
    offset += piece.length;
  }
  return samples;
}
