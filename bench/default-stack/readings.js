// Speech of a given length, for run.js.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const RATE_HZ = 16_000;
const SPEECH = ['jfk', 'sense_and_sensibility_01_austen_64kb-0870', 'sense_and_sensibility_01_austen_64kb-0930'];

/** The samples of a WAV file, without the chunks before them. */
function dataOf(wav) {
  const at = wav.indexOf('data');
  return wav.subarray(at + 8, at + 8 + wav.readUInt32LE(at + 4));
}

/** Concatenates audio files, repeated as needed, to a WAV file of the given duration. */
export function speechOf(shared, seconds, path, wavOf) {
  const clips = SPEECH.map((name) => dataOf(readFileSync(join(shared, `samples/speech/${name}.wav`))));
  const all = Buffer.concat(clips);
  const samples = Array.from(
    { length: seconds * RATE_HZ },
    (_, i) => all.readInt16LE((i * 2) % (all.length & ~1)) / 32_767,
  );
  const bytes = wavOf(samples);
  writeFileSync(path, bytes);
  return { path, bytes };
}
