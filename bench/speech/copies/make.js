// Creates two readings of two and a half to three minutes and their lossy copies.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { wavOf } from '../../support/wav.js';
import { joined, RATE, saidInThreeMinutes, threeMinutes } from '../audio-files.js';
import { noisy, SENTENCES, spoken, VOICES } from '../clips.js';

const bitRate = (encoder, ending, kb) => ({
  name: `${ending === 'm4a' ? 'aac' : ending}-${kb}`,
  ending,
  settings: ['-c:a', encoder, '-b:a', `${kb}k`],
});

/** ffmpeg options of the fifteen copies. A change of speed also changes the pitch, as on a record player. */
const COPIES = [
  ...[32, 40, 48, 96].map((kb) => bitRate('libmp3lame', 'mp3', kb)),
  ...[24, 48, 96].map((kb) => bitRate('libopus', 'opus', kb)),
  ...[24, 48].map((kb) => bitRate('aac', 'm4a', kb)),
  ...[48, 96].map((kb) => bitRate('libvorbis', 'ogg', kb)),
  ...[20, 10].map((decibels) => ({ name: `noise-${decibels}`, ending: 'wav', settings: [], decibels })),
  ...[0.9, 1.1].map((speed) => ({
    name: `speed-${speed}`,
    ending: 'wav',
    settings: ['-af', `aresample=44100,asetrate=${Math.round(44_100 * speed)}`],
  })),
];

/** The readings: the audio files three times, and sixty sentences by four synthetic voices. */
async function readings(shared, ffmpeg) {
  const pause = new Float32Array(0.5 * RATE);
  const made = SENTENCES.flatMap((text, index) => [spoken(ffmpeg, text, VOICES[index % VOICES.length]), pause]);
  return [
    { name: 'recorded', samples: await threeMinutes(shared), said: saidInThreeMinutes() },
    { name: 'made', samples: joined(made), said: SENTENCES.join(' ') },
  ];
}

/** Writes all copies into a directory, but for those that are there; `only` is a part of their names. */
export async function makeCopies(dir, { shared, ffmpeg, only }) {
  const copies = [];
  for (const { name: reading, samples, said } of await readings(shared, ffmpeg)) {
    for (const { name, ending, settings, decibels } of COPIES) {
      const full = `${reading} ${name}`;
      if (!full.includes(only)) continue;
      const path = join(dir, `${full.replace(' ', '-')}.${ending}`);
      copies.push({ name: full, path, said });
      if (existsSync(path)) continue;
      const source = join(dir, 'source.wav');
      await writeFile(source, wavOf(decibels === undefined ? samples : noisy(samples, decibels)));
      // 44.1 kHz, as files of music have; Opus has its own rate.
      const rate = ending === 'opus' ? '48000' : '44100';
      const args = ['-y', '-v', 'error', '-i', source, ...settings, '-ar', rate, '-ac', '1', path];
      const done = spawnSync(ffmpeg, args, { encoding: 'utf8' });
      if (done.status !== 0) throw new Error(`ffmpeg could not make ${full}: ${done.error?.message ?? done.stderr}`);
    }
  }
  return copies;
}
