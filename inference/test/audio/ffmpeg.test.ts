import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { alike, fromRoot, inParts, needsFfmpeg, open, transcribe } from './read-audio.js';
import { pcm16, wavFile } from './wav-file.js';

/** Arguments of ffmpeg and the minimum correlation with the input. */
interface Made {
  readonly name: string;
  readonly ending: string;
  readonly settings: readonly string[];
  readonly least: number;
  /** Fraction of the bytes in the truncated file, of which at least half of the audio must be decoded. */
  readonly cut: number;
}

/** The most common container, with every kind of sample. */
const pcm = (codec: string, least = 0.9999): Made => ({
  name: `WAV, ${codec}`,
  ending: 'wav',
  settings: ['-c:a', `pcm_${codec}`],
  least,
  cut: 0.6,
});
const aac = ['-c:a', 'aac', '-b:a', '64k'];

const EVERY: readonly Made[] = [
  pcm('u8', 0.999),
  pcm('s16le'),
  pcm('s24le'),
  pcm('s32le'),
  pcm('f32le'),
  pcm('f64le'),
  pcm('alaw', 0.9998),
  pcm('mulaw', 0.9998),
  { name: 'RF64', ending: 'wav', settings: ['-c:a', 'pcm_s16le', '-rf64', 'always'], least: 0.9999, cut: 0.6 },
  { name: 'AIFF', ending: 'aiff', settings: ['-c:a', 'pcm_s16be'], least: 0.9999, cut: 0.6 },
  { name: 'AIFF-C, little endian', ending: 'aif', settings: ['-c:a', 'pcm_s16le'], least: 0.9999, cut: 0.6 },
  { name: 'AU, mu-law', ending: 'au', settings: ['-c:a', 'pcm_mulaw'], least: 0.9998, cut: 0.6 },
  { name: 'CAF, 24 bits', ending: 'caf', settings: ['-c:a', 'pcm_s24le'], least: 0.9999, cut: 0.6 },
  { name: 'FLAC', ending: 'flac', settings: ['-c:a', 'flac'], least: 0.9999, cut: 0.6 },
  { name: 'FLAC in Ogg', ending: 'oga', settings: ['-c:a', 'flac'], least: 0.9999, cut: 0.95 },
  { name: 'MP3', ending: 'mp3', settings: ['-c:a', 'libmp3lame', '-q:a', '4'], least: 0.999, cut: 0.6 },
  { name: 'Ogg Vorbis', ending: 'ogg', settings: ['-c:a', 'libvorbis', '-q:a', '4'], least: 0.999, cut: 0.95 },
  { name: 'Ogg Opus', ending: 'opus', settings: ['-c:a', 'libopus', '-b:a', '32k'], least: 0.998, cut: 0.95 },
  // Its index is at the end: truncated, it is unreadable, which is tested elsewhere.
  { name: 'MP4', ending: 'mp4', settings: aac, least: 0.97, cut: 1 },
  { name: 'QuickTime, MP3', ending: 'mov', settings: ['-c:a', 'libmp3lame', '-q:a', '4'], least: 0.999, cut: 1 },
  { name: 'M4A, index first', ending: 'm4a', settings: [...aac, '-movflags', '+faststart'], least: 0.97, cut: 0.7 },
];
/** Rates in Hz with numbers of channels. */
const LAYOUTS = [
  [8_000, 1],
  [16_000, 1],
  [44_100, 2],
  [48_000, 2],
] as const;
/** The second channel has half the amplitude of the first: their mean is three quarters. */
const UNEVEN = 'pan=stereo|c0=c0|c1=0.5*c0';
const LENGTH = 20_000;
/** Half of the first frame of AAC at 8 kHz. */
const ONSET = 1_024;

describe('Audio files that ffmpeg makes', () => {
  let dir: string | undefined;
  /** The input, and the same limited to the bandwidth of 8 kHz. */
  let source: Float32Array;
  let safeWeights: Float32Array;

  const pathOf = ({ ending }: Made, index: number, rateHz: number, channels: number) =>
    join(dir ?? '', `${index}-${rateHz}-${channels}.${ending}`);

  before(async function () {
    needsFfmpeg(this);
    dir = await mkdtemp(join(tmpdir(), 'heimdex-ffmpeg-'));
    source = (await transcribe(await fromRoot('demo/samples/speech/party.flac'))).samples.subarray(
      8_000,
      8_000 + LENGTH,
    );
    const input = join(dir, 'source.wav');
    await writeFile(input, wavFile(pcm16(source)));
    const outputs = EVERY.flatMap((made, index) =>
      LAYOUTS.flatMap(([rateHz, channels]) => {
        // Opus has fixed rates.
        const rate = made.ending === 'opus' && rateHz === 44_100 ? 24_000 : rateHz;
        const mix = channels === 1 ? [] : ['-af', UNEVEN];
        return [...mix, '-ar', `${rate}`, ...made.settings, pathOf(made, index, rateHz, channels)];
      }),
    );
    const made = spawnSync('ffmpeg', ['-v', 'error', '-i', input, ...outputs], { encoding: 'utf8' });
    expect(made.status, made.stderr).to.equal(0);
    safeWeights = (await transcribe(await readFile(pathOf(EVERY[1] as Made, 1, 8_000, 1)))).samples;
  });

  after(async () => {
    if (dir !== undefined) await rm(dir, { recursive: true });
  });

  for (const [index, made] of EVERY.entries()) {
    it(`match the input, at every rate, mono and stereo: ${made.name}`, async () => {
      for (const [rateHz, channels] of LAYOUTS) {
        const what = `${made.name}, ${rateHz} Hz, ${channels} channels`;
        const { samples, warnings } = await transcribe(await readFile(pathOf(made, index, rateHz, channels)));
        const wanted = rateHz === 8_000 ? safeWeights : source;
        const { value, shift } = alike(wanted, samples, 20);
        const mean = channels === 1 ? 1 : 0.75;
        const loudness = Math.hypot(...samples) / Math.hypot(...wanted) / mean;
        const onset = Math.hypot(...samples.subarray(0, ONSET)) / Math.hypot(...wanted.subarray(0, ONSET)) / mean;
        expect(value, what).to.be.above(made.least);
        expect(Math.abs(shift), what).to.be.at.most(1);
        expect(samples.length, what).to.be.closeTo(LENGTH, 2);
        expect(loudness, what).to.be.closeTo(1, 0.05);
        expect(onset, what).to.be.above(0.8);
        expect(warnings, what).to.deep.equal([]);
      }
    });

    it(`are read up to their end if truncated, with a warning: ${made.name}`, async () => {
      const whole = await readFile(pathOf(made, index, 44_100, 2));
      const { samples, warnings } = await transcribe(whole.subarray(0, Math.floor(made.cut * whole.length)));
      expect(samples.length / LENGTH).to.be.within(made.cut === 1 ? 1 : 0.5, made.cut === 1 ? 1 : 0.95);
      expect(alike(source, samples, 2).value).to.be.above(made.least);
      expect(warnings.length > 0).to.equal(made.cut < 1);
    });
  }

  it('are bit-exact if lossless: FLAC, FLAC in Ogg and WAV, 16 and 24 bits', async () => {
    const wav = EVERY.findIndex(({ name }) => name === 'WAV, s16le');
    for (const [index, made] of EVERY.entries()) {
      if (!made.name.startsWith('FLAC')) continue;
      const [one, other] = [
        await transcribe(await readFile(pathOf(made, index, 16_000, 1))),
        await transcribe(await readFile(pathOf(EVERY[wav] as Made, wav, 16_000, 1))),
      ];
      expect(Buffer.from(one.samples.buffer).equals(Buffer.from(other.samples.buffer)), made.name).to.equal(true);
    }
    const deep = ['flac', 'wav'].map((ending) => join(dir ?? '', `deep.${ending}`));
    const tone = ['-v', 'error', '-f', 'lavfi', '-t', '0.5', '-i', 'sine=r=16000,volume=20dB', '-ar', '16000'];
    const outputs = ['-sample_fmt', 's32', deep[0] ?? '', '-ar', '16000', '-c:a', 'pcm_s24le', deep[1] ?? ''];
    expect(spawnSync('ffmpeg', [...tone, ...outputs]).status).to.equal(0);
    const [flac, wide] = await Promise.all(deep.map(async (path) => (await transcribe(await readFile(path))).samples));
    expect(flac).to.deep.equal(wide);
  });

  it('of FLAC lose in damage only the frames that it touches, in whatever chunks they arrive', async () => {
    const small = [
      '-i',
      join(dir ?? '', 'source.wav'),
      '-c:a',
      'flac',
      '-frame_size',
      '700',
      join(dir ?? '', 'small.flac'),
    ];
    expect(spawnSync('ffmpeg', ['-v', 'error', ...small]).status).to.equal(0);
    const bytes = new Uint8Array(await readFile(join(dir ?? '', 'small.flac')));
    const whole = await transcribe(bytes);
    for (const at of [0.43, 0.45, 0.6]) {
      const middle = Math.floor(bytes.length * at);
      const content = Buffer.concat([bytes.subarray(0, middle), bytes.subarray(middle + 10)]);
      const { samples } = await transcribe(content);
      expect(samples.length).to.equal(whole.samples.length);
      const lost = samples.filter((sample, index) => sample !== whole.samples[index]).length;
      expect(lost).to.be.within(1, 2 * 700);
      const inChunks = await transcribe(inParts(content, 1_000));
      expect(Buffer.from(inChunks.samples.buffer).equals(Buffer.from(samples.buffer))).to.equal(true);
    }
  });

  it('of FLAC have up to 8 channels, alone, in Matroska and in Ogg', async () => {
    const pan = `pan=7.1|${Array.from({ length: 8 }, (_, index) => `c${index}=${(index + 1) / 8}*c0`).join('|')}`;
    const paths = ['flac', 'mka', 'oga'].map((ending) => join(dir ?? '', `eight.${ending}`));
    const outputs = paths.flatMap((path) => ['-af', pan, '-ar', '48000', '-c:a', 'flac', '-frame_size', '16384', path]);
    expect(spawnSync('ffmpeg', ['-v', 'error', '-i', join(dir ?? '', 'source.wav'), ...outputs]).status).to.equal(0);
    for (const path of paths) {
      const { samples, warnings } = await transcribe(await readFile(path));
      expect(alike(source, samples, 2).value, path).to.be.above(0.999);
      expect([samples.length, warnings], path).to.deep.equal([LENGTH, []]);
    }
  });

  it('are rejected at the limit if few bytes contain many minutes', async () => {
    // Through a pipe, without the duration in a header.
    const silence = ['-v', 'error', '-f', 'lavfi', '-t', '600', '-i', 'anullsrc=r=8000:cl=mono'];
    const { stdout } = spawnSync('ffmpeg', [...silence, '-c:a', 'flac', '-f', 'flac', '-'], { maxBuffer: 2 ** 26 });
    expect(stdout.length).to.be.within(1_000, 1_000_000);
    const source = await open(stdout, { maxSeconds: 60 });
    let seconds = 0;
    const reading = (async () => {
      for (let block = await source.read(16_000); block !== null; block = await source.read(16_000)) {
        seconds += block.length / 16_000;
      }
    })();
    const error = await reading.catch((reason: unknown) => reason);
    expect(error).to.include({ code: 'AUDIO_TOO_LONG' });
    expect(seconds).to.equal(60);
    await source.close();
  });
});
