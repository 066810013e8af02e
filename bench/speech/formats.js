// Compares the words of the same audio in all formats: `node bench/speech/formats.js` (needs ffmpeg). Results: results.md.
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryDir } from '../support/dir.js';
import { readOptions } from '../support/measure.js';
import { wavOf } from '../support/wav.js';
import { saidInThreeMinutes, samplesOf, threeMinutes, wordErrors } from './audio-files.js';
import { openWhisper } from './transcribe.js';

const flags = readOptions({
  /** Repetitions of all audio files: 3 for two and a half minutes. */
  turns: 3,
  rates: '8000,16000,44100,48000',
  channels: '1,2',
  /** Condition on previous text, with sequential windows. */
  condition: false,
});
const RATES_HZ = flags.rates.split(',').map(Number);
const CHANNELS = flags.channels.split(',').map(Number);
const OPTIONS = { conditionOnPreviousText: flags.condition };
/** Name, file extension and ffmpeg options; Opus has its own rates. */
const FORMATS = [
  ['WAV', 'wav', ['-c:a', 'pcm_s16le']],
  ['FLAC', 'flac', ['-c:a', 'flac']],
  ['MP3', 'mp3', ['-c:a', 'libmp3lame', '-q:a', '4']],
  ['Ogg Vorbis', 'ogg', ['-c:a', 'libvorbis', '-q:a', '4']],
  ['Ogg Opus', 'opus', ['-c:a', 'libopus', '-b:a', '32k']],
  ['MP4 AAC', 'mp4', ['-c:a', 'aac', '-b:a', '64k']],
  ['M4A AAC', 'm4a', ['-c:a', 'aac', '-b:a', '64k', '-movflags', '+faststart']],
];

const said = saidInThreeMinutes(flags.turns);
const dir = temporaryDir();
const whisper = await openWhisper(flags.shared);
try {
  const source = join(dir, 'source.wav');
  await writeFile(source, wavOf(await threeMinutes(flags.shared, flags.turns)));
  const plain = wordErrors((await whisper.transcribe(await samplesOf(source), OPTIONS)).text, said);
  console.log(`Original WAV, 16 kHz, mono: ${plain.errors} of ${plain.words} words wrong\n`);
  console.log(`word errors\n\n| format | channels | ${RATES_HZ.map((rate) => `${rate / 1000} kHz`).join(' | ')} |`);
  console.log(`|---|---|${'---|'.repeat(RATES_HZ.length)}`);
  for (const [name, ending, settings] of FORMATS) {
    for (const channels of CHANNELS) {
      const row = [];
      for (const rateHz of RATES_HZ) {
        const path = join(dir, `made.${ending}`);
        const rate = ending === 'opus' && rateHz === 44_100 ? 48_000 : rateHz;
        const args = ['-y', '-v', 'error', '-i', source, '-ac', `${channels}`, '-ar', `${rate}`, ...settings, path];
        const made = spawnSync(flags.ffmpeg, args, { encoding: 'utf8' });
        if (made.status !== 0)
          throw new Error(`ffmpeg could not create ${name}: ${made.error?.message ?? made.stderr}`);
        const { text } = await whisper.transcribe(await samplesOf(path), OPTIONS);
        row.push(wordErrors(text, said).errors);
      }
      console.log(`| ${name} | ${channels} | ${row.join(' | ')} |`);
    }
  }
} finally {
  await whisper.close();
}
