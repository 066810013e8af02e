import { expect } from 'chai';
import { AUDIO_FORMATS } from '../../src/media/audio/index.js';
import {
  alike,
  apeTag,
  expectSame,
  fixture,
  fromRoot,
  inParts,
  refusal,
  type Transcribed,
  transcribe,
} from './read-audio.js';
import { pcm16, wavFile } from './wav-file.js';

/** The source of all fixtures: seconds 0.5 to 2.5 of a demo sample. */
async function original(): Promise<Float32Array> {
  const { samples } = await transcribe(await fromRoot('demo/samples/speech/party.flac'));
  return samples.subarray(8_000, 40_000);
}

/** Minimum correlation. Lossless is 1; 8 kHz lack the upper half of the spectrum. */
const FIXTURES: readonly [name: string, format: (typeof AUDIO_FORMATS)[number], least: number, samples: number][] = [
  ['speech-48k-mono.flac.ogg', 'flac', 0.9999, 32_000],
  ['speech-44k-stereo.mp3', 'mp3', 0.98, 32_000],
  ['speech-16k-mono.mp3', 'mp3', 0.97, 32_000],
  // Without the header, the encoder's delay of 1,105 samples remains at 8 kHz.
  ['speech-8k-mono.mp3', 'mp3', 0.9, 34_560],
  ['speech-48k-stereo.vorbis.ogg', 'ogg-vorbis', 0.97, 32_000],
  ['speech-8k-mono.vorbis.ogg', 'ogg-vorbis', 0.9, 32_000],
  ['speech-48k-stereo.opus', 'ogg-opus', 0.95, 32_000],
  ['speech-16k-mono.opus', 'ogg-opus', 0.93, 32_000],
  ['speech-44k-stereo.m4a', 'mp4-aac', 0.98, 32_000],
  ['speech-48k-mono-faststart.m4a', 'mp4-aac', 0.97, 32_000],
];

describe('Audio files of every format', () => {
  let wanted: Float32Array;
  before(async () => {
    wanted = await original();
  });

  it('are all tested', () => {
    // WAV and other uncompressed files have their own tests, videos are among the cases.
    const videos = ['mp4', 'quicktime', 'webm', 'matroska', 'mpeg-ts', 'adts'];
    const tried = new Set(['wav', 'aiff', 'au', 'caf', ...videos, ...FIXTURES.map(([, format]) => format)]);
    expect([...tried].sort()).to.deep.equal([...AUDIO_FORMATS].sort());
  });

  for (const [name, , least, length] of FIXTURES) {
    it(`decode to the source speech, whole and in parts: ${name}`, async () => {
      const bytes = await fixture(name);
      const { samples, warnings } = await transcribe(bytes);
      const delayed = length > 32_000;
      const { value, shift } = alike(wanted, samples, delayed ? 2_400 : 40);
      expect(value, `correlation at ${shift}`).to.be.above(least);
      expect(samples.length).to.be.closeTo(length, 1);
      if (!delayed) expect(Math.abs(shift)).to.be.at.most(2);
      expect(warnings).to.deep.equal([]);
      const parts: Transcribed = await transcribe(inParts(bytes, 7));
      expect(parts.samples.length, 'in parts').to.equal(samples.length);
      expect(alike(parts.samples, samples, 0).value, 'in parts').to.be.above(0.99999);
      expect(parts.warnings, 'in parts').to.deep.equal([]);
    });
  }

  for (const [name, samples] of [
    ['party', 113_760],
    ['models', 100_560],
    ['search', 98_080],
  ] as const) {
    it(`are complete to the last sample: ${name}.flac`, async () => {
      const transcribed = await transcribe(await fromRoot(`demo/samples/speech/${name}.flac`));
      expect(transcribed.samples.length).to.equal(samples);
      expect(transcribed.warnings).to.deep.equal([]);
    });
  }

  it('of MP3 and AAC may begin with many zeros', async () => {
    for (const path of ['fixtures/speech-44k-stereo.mp3', 'cases/adts.aac']) {
      const content = await fromRoot(`inference/test/audio/${path}`);
      const whole = await transcribe(content);
      for (const zeros of [3_000, 10_000, 60_000]) {
        const behind = Buffer.concat([new Uint8Array(zeros), content]);
        for (const given of [behind, inParts(behind, 700)]) {
          expectSame(await transcribe(given), whole, `${path} behind ${zeros}`);
        }
      }
    }
  });

  const tag = (bytes: number) =>
    Buffer.concat([Buffer.from([0x49, 0x44, 0x33, 4, 0, 0, 0, 0, bytes >> 7, bytes & 127]), Buffer.alloc(bytes, 0x11)]);
  const tags = Buffer.concat([tag(12_000), apeTag(3_000), tag(700)]);
  const garbage = Buffer.from('a few bytes\x00\xff of something else', 'latin1');
  for (const [path, before] of [
    ['demo/samples/speech/party.flac', tags],
    ['demo/samples/speech/party.flac', garbage],
    ['inference/test/audio/fixtures/speech-16k-mono.opus', tags],
    ['inference/test/audio/fixtures/speech-16k-mono.opus', garbage],
    ['inference/test/audio/fixtures/speech-48k-mono.flac.ogg', garbage],
    ['inference/test/audio/fixtures/speech-16k-mono.mp3', tags],
    ['inference/test/audio/fixtures/speech-48k-mono-faststart.m4a', tags],
    ['inference/test/audio/cases/telephone_gsm.wav', tags],
  ] as const) {
    it(`may follow ${before === tags ? 'tags' : 'a few bytes of garbage'}: ${path}`, async () => {
      const content = await fromRoot(path);
      const alone = await transcribe(content);
      const behind = Buffer.concat([before, content]);
      for (const given of [behind, inParts(behind, 777)]) {
        const { samples, warnings } = await transcribe(given);
        expect(Buffer.from(samples.buffer).equals(Buffer.from(alone.samples.buffer))).to.equal(true);
        const skipped = `${garbage.length} bytes outside complete Ogg pages were skipped.`;
        const told = before === garbage && /\.(opus|ogg)$/.test(path) ? [skipped] : [];
        expect(warnings).to.deep.equal([...alone.warnings, ...told]);
      }
    });
  }

  it('of MP3 may follow a tag of which the length is wrong or invalid', async () => {
    const mp3 = await fixture('speech-16k-mono.mp3');
    const { samples } = await transcribe(mp3);
    const tooShort = Buffer.concat([tag(12_000), Buffer.alloc(10_000, 0x11)]);
    const invalid = Buffer.from(tooShort).fill(0x80, 6, 7);
    const short = Buffer.concat([tag(100), Buffer.alloc(5_000, 0x11)]);
    for (const wrong of [tooShort, invalid, short]) {
      const found = await transcribe(Buffer.concat([wrong, mp3]));
      expect(Buffer.from(found.samples.buffer).equals(Buffer.from(samples.buffer))).to.equal(true);
    }
  });

  it('of other formats behind a tag that claims a part of them are not taken for MP3', async () => {
    const { samples } = await transcribe(await fromRoot('demo/samples/speech/party.flac'));
    const behind = Buffer.concat([tag(12_000).subarray(0, 100), wavFile(pcm16(samples))]);
    for (const given of [behind, inParts(behind, 777)])
      expect((await refusal(given)).message).to.contain('no samples that could be decoded');
  });

  it('that end with their tag are rejected with the reason', async () => {
    for (const content of [tags, tags.subarray(0, 5_000)])
      expect((await refusal(content)).message).to.contain('ends with the tag at its beginning');
  });

  it('of FLAC have the same values as WAV', async () => {
    const { samples } = await transcribe(await fromRoot('demo/samples/speech/party.flac'));
    expect(samples.some((sample) => Math.abs(sample) > 0.1)).to.equal(true);
    expect(samples.every((sample) => Number.isInteger(sample * 32_768))).to.equal(true);
  });

  it('of FLAC at 44.1 kHz stereo match the WAV at 16 kHz', async function () {
    const read = (file: string) => fromRoot(`../shared/samples/speech/${file}`).catch(() => undefined);
    const [flac, wav] = [await read('jfk.flac'), await read('jfk.wav')];
    if (flac === undefined || wav === undefined) {
      console.log('      skipped: ../shared is not here');
      return this.skip();
    }
    const [first, second] = [await transcribe(flac), await transcribe(wav)];
    expect(first.samples.length).to.equal(second.samples.length);
    expect(alike(first.samples, second.samples, 3)).to.satisfy(
      (match: { value: number; shift: number }) => match.value > 0.999 && match.shift === 0,
    );
  });
});
