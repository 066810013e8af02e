/** Writes a long recording: `node long-speech.js OUT.wav SECONDS` repeats a sample of the demo. Needs a build. */
import { readFile, writeFile } from 'node:fs/promises';
import { openAudio } from '../../inference/dist/src/media/audio/index.js';

const [out, seconds] = process.argv.slice(2);
const RATE_HZ = 16_000;

const file = await readFile(new URL('../../demo/samples/speech/party.flac', import.meta.url));
const source = await openAudio(file, { maxSeconds: 60, signal: AbortSignal.timeout(60_000) });
const pieces = [];
for (let piece = await source.read(RATE_HZ); piece !== null; piece = await source.read(RATE_HZ)) pieces.push(...piece);
await source.close();

const samples = Int16Array.from({ length: Number(seconds) * RATE_HZ }, (_, i) => pieces[i % pieces.length] * 32_767);
const header = Buffer.alloc(44);
header.write('RIFF', 0);
header.writeUInt32LE(36 + samples.byteLength, 4);
header.write('WAVEfmt ', 8);
header.writeUInt32LE(16, 16);
header.writeUInt16LE(1, 20);
header.writeUInt16LE(1, 22);
header.writeUInt32LE(RATE_HZ, 24);
header.writeUInt32LE(RATE_HZ * 2, 28);
header.writeUInt16LE(2, 32);
header.writeUInt16LE(16, 34);
header.write('data', 36);
header.writeUInt32LE(samples.byteLength, 40);
await writeFile(out, Buffer.concat([header, Buffer.from(samples.buffer)]));
process.exit();
