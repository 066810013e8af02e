import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createAc3Decoder } from '../../src/media/audio/decoders/ac3.js';
import { Random } from '../support/random.js';
import { alike, caseOf, expectSame, inParts, needsFfmpeg, transcribe } from './read-audio.js';

const VIDEO = 'ac3_first_aac_second.mp4';

describe('AC-3', () => {
  it('decodes the sentence, whole and in chunks', async () => {
    const content = await caseOf(VIDEO);
    const sentence = (await transcribe(await caseOf('quicktime_pcm.mov'))).samples;
    const whole = await transcribe(content, { audioTrack: 0 });
    expect(whole.track?.codec).to.equal('AC-3');
    expect(whole.warnings).to.deep.equal([]);
    expect(whole.samples.length / 16_000).to.be.closeTo(2.99, 0.05);
    const { value, shift } = alike(sentence, whole.samples, 400);
    expect(value).to.be.above(0.98);
    // The decoder delay of 256 samples at 48 kHz, which no container of AC-3 removes.
    expect(shift / 16_000).to.be.within(-0.001, 0.007);
    for (const size of [65_536, 1_024]) expectSame(await transcribe(inParts(content, size), { audioTrack: 0 }), whole);
  });

  it('matches ffmpeg: both kinds, stereo and 5.1, in MP4, Matroska and MPEG-TS', async function () {
    needsFfmpeg(this);
    const dir = await mkdtemp(join(tmpdir(), 'heimdex-ac3-'));
    const source = ['-f', 'lavfi', '-i', 'aevalsrc=0.5*sin(300*t*t)+0.05*random(0):s=48000:d=1'];
    try {
      const layouts = [
        ['mp4', 2],
        ['mkv', 6],
        ['ts', 2],
      ] as const;
      const files = ['ac3', 'eac3'].flatMap((codec) =>
        layouts.map(([ending, channels]) => {
          const what = `${codec} in ${ending}`;
          return {
            codec,
            what,
            channels: `${channels}`,
            video: join(dir, `${codec}.${ending}`),
            wav: join(dir, `${what}.wav`),
          };
        }),
      );
      // All files in one process each way.
      const ffmpeg = (args: readonly string[]) => spawnSync('ffmpeg', ['-v', 'error', ...args], { encoding: 'utf8' });
      const made = ffmpeg([
        ...source,
        ...files.flatMap(({ codec, channels, video }) => ['-ac', channels, '-c:a', codec, video]),
      ]);
      expect(made.status, made.stderr).to.equal(0);
      const read = ffmpeg([
        ...files.flatMap(({ video }) => ['-i', video]),
        ...files.flatMap(({ wav }, index) => ['-map', `${index}`, '-c:a', 'pcm_f32le', wav]),
      ]);
      expect(read.status, read.stderr).to.equal(0);
      for (const { codec, what, video, wav } of files) {
        const [one, other] = [await transcribe(await readFile(video)), await transcribe(await readFile(wav))];
        expect(one.track?.codec, what).to.equal(codec === 'ac3' ? 'AC-3' : 'E-AC-3');
        expect(one.warnings, what).to.deep.equal([]);
        expect(alike(one.samples, other.samples, 100).value, what).to.be.above(0.999);
        expect(one.samples.length / 16_000, what).to.be.closeTo(1.02, 0.05);
      }
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  for (const codec of ['ac3', 'eac3'] as const) {
    it(`skips damaged packets with a warning: ${codec}`, async () => {
      const decoder = await createAc3Decoder({ codec, sampleRateHz: 48_000, channelCount: 2, description: undefined });
      const random = new Random(5);
      for (let round = 0; round < 200; round++) {
        const data = random.bytes(round * 7);
        if (round % 2 === 1) data.set([0x0b, 0x77]);
        for (const { channels } of await decoder.decode({ data, timestampSeconds: 0, durationSeconds: 0 })) {
          expect(channels.length).to.be.within(1, 32);
          expect(channels[0]?.length).to.be.at.most(1_536);
        }
      }
      const huge = new Uint8Array(10_000_000);
      expect(await decoder.decode({ data: huge, timestampSeconds: 0, durationSeconds: 0 })).to.deep.equal([]);
      expect(decoder.warnings).to.have.length(1);
      expect(decoder.warnings[0]).to.contain('damaged');
      decoder.close();
      decoder.close();
    });
  }
});
