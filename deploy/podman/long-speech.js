/** Writes a long audio file by repeating a demo sample: `node long-speech.js OUT.wav SECONDS`. Needs a build. */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { RATE, samplesOf } from '../../bench/speech/audio-files.js';
import { wavOf } from '../../bench/support/wav.js';

const [out, seconds] = process.argv.slice(2);
const once = await samplesOf(fileURLToPath(new URL('../../demo/samples/speech/party.flac', import.meta.url)));
const length = Number(seconds) * RATE;
await writeFile(out, wavOf(Float32Array.from({ length }, (_, index) => once[index % once.length])));
process.exit();
