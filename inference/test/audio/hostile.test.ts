import { expect } from 'chai';
import type { InferenceError } from '../../src/errors.js';
import { createAacDecoder } from '../../src/media/audio/decoders/aac.js';
import { FlacDecoder } from '../../src/media/audio/decoders/flac.js';
import { Mp3Decoder } from '../../src/media/audio/decoders/mp3.js';
import { OggDecoder } from '../../src/media/audio/decoders/ogg.js';
import { OggPages } from '../../src/media/audio/decoders/ogg-pages.js';
import { Random } from '../support/random.js';
import { mp4File } from './mp4-file.js';
import { COMPRESSED, caseOf, expectSame, fixture, fromRoot, inParts, refusal, transcribe } from './read-audio.js';
import { wavFile } from './wav-file.js';

const noise = (length: number, seed = 1) => new Random(seed).bytes(length);

describe('Content that is not audio', () => {
  for (const [name, content, said] of [
    ['nothing', new Uint8Array(0), 'empty'],
    ['one byte', new Uint8Array([0x52]), 'text ("R")'],
    ['a text file', Buffer.from('Hello, this is a transcript of a meeting.\n'.repeat(40)), 'text ("Hello, this'],
    ['JSON', Buffer.from('{"audio": "hello"}'), 'JSON'],
    ['a web page', Buffer.from('<!DOCTYPE html><html><body>404</body></html>'), 'a web page'],
    ['a PNG', Buffer.from('\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR', 'latin1'), 'a PNG image'],
    ['an AVI video', Buffer.from('RIFF\x00\x10\x00\x00AVI LIST', 'latin1'), 'an AVI video'],
    ['random bytes', noise(20_000), 'unknown data beginning with'],
    ['zeros', new Uint8Array(100_000), 'unknown data beginning with 00 00'],
  ] as const) {
    it(`is rejected with what it looks like: ${name}`, async () => {
      const error = await refusal(content);
      expect(error.code).to.equal('AUDIO_UNREADABLE');
      expect(error.message).to.contain(said);
      expect(error.message).to.contain('WAV, AIFF, AU, CAF, FLAC, MP3');
      const streamed = await refusal(inParts(content, 5));
      expect(streamed.message).to.equal(error.message);
    });
  }

  for (const [name, magic] of [
    ['WAV', 'RIFF\x00\x00\x00\x00WAVE'],
    ['FLAC', 'fLaC\x00\x00\x00\x22'],
    ['MP3', 'ID3\x04\x00\x00\x00\x00\x00\x00'],
    [
      'Ogg Vorbis',
      'OggS\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x1e\x01vorbis',
    ],
    [
      'Ogg Opus',
      'OggS\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x13OpusHead',
    ],
    ['Ogg without a known stream', 'OggS\x00\x02'],
    ['MP4', '\x00\x00\x00\x18ftypM4A \x00\x00\x00\x00'],
    ['WebM', '\x1aE\xdf\xa3\x9fB\x86\x81'],
    ['AAC', '\xff\xf1\x50\x80\x2e\x7f\xfc\x21'],
    ['MPEG-TS', `G${'\x00'.repeat(187)}G${'\x00'.repeat(187)}G${'\x00'.repeat(187)}G${'\x00'.repeat(187)}`],
  ] as const) {
    it(`is rejected although it begins like ${name}`, async () => {
      const content = Buffer.concat([Buffer.from(magic, 'latin1'), noise(100_000)]);
      expect((await refusal(content)).code).to.equal('AUDIO_UNREADABLE');
      expect((await refusal(content.subarray(0, magic.length))).code).to.equal('AUDIO_UNREADABLE');
    });
  }
});

describe('A Matroska file without a track', () => {
  const spins = [
    // A segment of a known size with an element that is not known and no other: the library's search for the next.
    `1a45dfa3874282847765626d1853806790${'55'.repeat(16)}`,
    // Of an unknown size.
    `1a45dfa3874282847765626d18538067ff${'55'.repeat(16)}`,
    // One that another follows.
    `1a45dfa3874282847765626d1853806790${'55'.repeat(16)}1853806790${'55'.repeat(16)}`,
  ];
  it('is rejected although it has only unknown elements', async () => {
    for (const content of spins.map((hex) => Buffer.from(hex, 'hex'))) {
      const error = await refusal(content);
      expect(error.code).to.equal('AUDIO_UNREADABLE');
      expect(error.message).to.contain('WebM or Matroska');
      expect((await refusal(inParts(content, 5))).message).to.equal(error.message);
    }
  });
});

describe('An endless stream without a sample', () => {
  it('is rejected', async () => {
    async function* junk(): AsyncGenerator<Uint8Array> {
      const head = wavFile(new Uint8Array(0), { between: Buffer.from('junk\xf0\xff\xff\xff', 'latin1') });
      yield head.subarray(0, head.length - 8);
      for (;;) yield new Uint8Array(65_536);
    }
    const error = await refusal(junk());
    expect(error.code).to.equal('AUDIO_UNREADABLE');
    expect(error.message).to.contain('64 consecutive MiB');
  });
});

describe('A damaged audio file', () => {
  for (const name of COMPRESSED) {
    it(`does not fail unexpectedly when truncated anywhere: ${name}`, async () => {
      const bytes = await fixture(name);
      for (const part of [0.03, 0.5, 0.97]) {
        const cut = bytes.subarray(0, Math.floor(bytes.length * part));
        const result = await transcribe(cut).catch((error: InferenceError) => error);
        if ('code' in result) expect(result.code).to.equal('AUDIO_UNREADABLE');
        else expect(result.samples.length).to.be.below(32_100);
      }
    });

    it(`does not fail unexpectedly with noise in the middle: ${name}`, async () => {
      const bytes = (await fixture(name)).slice();
      bytes.set(noise(400), Math.floor(bytes.length / 2));
      const result = await transcribe(bytes).catch((error: InferenceError) => error);
      if ('code' in result) expect(result.code).to.equal('AUDIO_UNREADABLE');
      else expect(result.samples.every((sample) => sample >= -1 && sample <= 1)).to.equal(true);
    });

    it(`does not fail unexpectedly with noise after its beginning: ${name}`, async () => {
      const bytes = await fixture(name);
      const content = Buffer.concat([bytes.subarray(0, 900), noise(50_000, 7)]);
      const result = await transcribe(content).catch((error: InferenceError) => error);
      if ('code' in result) expect(result.code).to.equal('AUDIO_UNREADABLE');
      else expect(result.samples.length).to.be.below(16_000 * 60);
    });
  }

  it('of FLAC is read up to the damage, with a warning', async () => {
    const bytes = await fromRoot('demo/samples/speech/party.flac');
    const { samples, warnings } = await transcribe(bytes.subarray(0, bytes.length / 2));
    expect(samples.length).to.be.within(50_000, 60_000);
    expect(warnings).to.have.length(1);
    expect(warnings[0]).to.contain('missing or damaged');
  });

  it('of FLAC is read on after damage, which becomes silence, whole and in chunks', async () => {
    const bytes = await fromRoot('demo/samples/speech/party.flac');
    const whole = await transcribe(bytes);
    const middle = Math.floor(bytes.length / 2);
    const hole = Buffer.concat([bytes.subarray(0, middle), bytes.subarray(middle + 300)]);
    const noisy = bytes.slice();
    noisy.set(noise(3_000, 3), middle);
    for (const content of [hole, noisy]) {
      const { samples, warnings } = await transcribe(content);
      expect(samples.length).to.equal(whole.samples.length);
      expect(samples.subarray(0, 48_000)).to.deep.equal(whole.samples.subarray(0, 48_000));
      expect(samples.subarray(-40_000)).to.deep.equal(whole.samples.subarray(-40_000));
      expect(warnings.join()).to.contain('missing or damaged');
      expect((await transcribe(inParts(content, 700))).samples).to.deep.equal(samples);
    }
  });

  for (const name of ['speech-44k-stereo.mp3', 'speech-8k-mono.mp3']) {
    it(`of MP3 is read up to its end if truncated, with a warning: ${name}`, async () => {
      const bytes = await fixture(name);
      const whole = await transcribe(bytes);
      expect(whole.warnings).to.deep.equal([]);
      const cut = await transcribe(inParts(bytes.subarray(0, Math.floor(bytes.length / 2) + 5), 1_000));
      expect(cut.samples.length).to.be.within(whole.samples.length * 0.4, whole.samples.length * 0.6);
      expect(cut.warnings).to.have.length(1);
      expect(cut.warnings[0]).to.contain('The MP3 is truncated');
    });
  }

  it('of more streams than are read, one after another, is rejected with the reason', async () => {
    const header = Buffer.alloc(42);
    header.write('fLaC');
    header[7] = 34;
    for (const [decoder, content] of [
      [await FlacDecoder.create(1), Buffer.concat([header, header])],
      [new OggDecoder(1), await caseOf('chained.opus')],
      [await Mp3Decoder.create(1), await caseOf('mp3_rate_change.mp3')],
    ] as const) {
      const error: unknown = await decoder.push(new Uint8Array(content)).catch((reason: unknown) => reason);
      decoder.close();
      expect(String(error)).to.contain('more than 1 streams');
    }
  });

  it('of Ogg whose pages lie within each other, with wrong checksums, is rejected with the reason', () => {
    const page = Buffer.alloc(27, 255);
    page.write('OggS', 'latin1');
    const content = Buffer.alloc(27 * 10_000, page);
    expect(() => new OggPages().push(content)).to.throw('The Ogg file is damaged in too many positions.');
  });

  it('of AAC whose times go back again and again, and give no samples, is rejected with the reason', async () => {
    const frame = (await caseOf('adts.aac')).subarray(0, 513);
    const decoder = await createAacDecoder(
      { codec: 'aac', sampleRateHz: 44_100, channelCount: 1, description: undefined },
      { splits: 60, jumpsBack: 2 },
    );
    const at = (timestampSeconds: number) => decoder.decode({ data: frame, timestampSeconds, durationSeconds: 0.02 });
    for (const seconds of [1, 0.5, 0.6, 0.5]) await at(seconds);
    expect(String(await at(0.4).catch((reason: unknown) => reason))).to.contain('go back in too many positions');
    decoder.close();
  });

  it('of MP3 is read on after damage, the same whole and in chunks', async () => {
    const bytes = await caseOf('mp3_rate_change.mp3');
    const damaged = Buffer.concat([bytes.subarray(0, 24_199), bytes.subarray(24_208)]);
    const { samples } = await transcribe(damaged);
    for (const size of [600, 997]) expect((await transcribe(inParts(damaged, size))).samples).to.deep.equal(samples);
  });

  it('of MP3 is read without what is no frame, within it and behind it, with a warning', async () => {
    const mp3 = await fixture('speech-44k-stereo.mp3');
    const half = mp3.length >> 1;
    const clean = await transcribe(mp3);
    for (const content of [
      Buffer.concat([mp3, noise(400_000)]),
      Buffer.concat([mp3.subarray(0, half), noise(400_000), mp3.subarray(half)]),
    ]) {
      const { samples, warnings } = await transcribe(content);
      expect(samples.length / clean.samples.length).to.be.within(0.9, 1.1);
      expect(warnings.join()).to.match(/^[34]\d{5} bytes outside complete MP3 frames were skipped\./);
    }
  });

  it('of MP3 with a tag at its end causes no warning', async () => {
    const tag = Buffer.alloc(128);
    tag.write('TAG');
    const tagged = Buffer.concat([await fixture('speech-44k-stereo.mp3'), tag]);
    expect((await transcribe(tagged)).warnings).to.deep.equal([]);
  });

  it('without its MP4 index is rejected with the reason', async () => {
    const bytes = await fixture('speech-44k-stereo.m4a');
    const error = await refusal(bytes.subarray(0, bytes.length - 2_000));
    expect(error.code).to.equal('AUDIO_UNREADABLE');
    expect(error.message).to.contain('moov');
  });

  it('of MP4 that claims many more samples for a chunk than there are is read', async () => {
    const bytes = await fixture('speech-44k-stereo.m4a');
    const claims = Buffer.from(bytes);
    // The last chunk's: the length of an entry of the list is 12 bytes.
    const list = claims.indexOf('stsc') + 4;
    claims.writeUInt32BE(0xffff_ffff, list + 8 + (claims.readUInt32BE(list + 4) - 1) * 12 + 4);
    expectSame(await transcribe(claims), await transcribe(bytes));
  });

  it('of MP4 that claims millions of samples without bytes for each is read up to them', async () => {
    const fragments = Buffer.from(await caseOf('index_then_fragments.mp4'));
    // The run of the audio is the second: no lists, and the number of its samples.
    const run = fragments.indexOf('trun', fragments.indexOf('trun') + 4) + 4;
    fragments.writeUInt32BE(1, run);
    fragments.writeUInt32BE(0xffff_ffff, run + 4);
    const index = Buffer.from(await fixture('speech-44k-stereo.m4a'));
    // A list of sizes becomes one of sizes of 0 bits.
    const sizes = index.indexOf('stsz') + 4;
    index.write('stz2', sizes - 4, 'latin1');
    index.writeUInt32BE(0xffff_ffff, sizes + 8);
    expect((await transcribe(fragments)).warnings[0]).to.contain('its packets are damaged');
    expect(String((await refusal(index)).cause)).to.contain('The MP4 claims 4294967295 samples');
  });

  it('of MP4 that claims millions of samples in the runs of its lists is refused', async () => {
    const chunks = [new Int16Array(800), new Int16Array(800)];
    /** The file with numbers of a list replaced, by their offsets in it. */
    const claiming = (
      moved: boolean,
      ...claims: readonly (readonly [list: string, offset: number, value: number])[]
    ) => {
      const content = Buffer.concat([
        ...mp4File({ chunks, betweenBytes: 0, ...(moved ? { compositionOffset: 0 } : {}) }),
      ]);
      for (const [list, offset, value] of claims) content.writeUInt32BE(value, content.indexOf(list) + 4 + offset);
      return content;
    };
    for (const content of [
      claiming(true, ['ctts', 8, 0xffff_ffff]),
      claiming(true, ['stts', 8, 0xffff_ffff]),
      claiming(true, ['stts', 8, 0xffff_ffff], ['ctts', 8, 0]),
      // The chunk at which the second entry begins.
      claiming(false, ['stsc', 20, 0xffff_ffff]),
    ]) {
      expect((await refusal(content)).message).to.contain('Its codec configuration is damaged.');
    }
  });

  it('of MP4 whose index has no sizes of its samples is read from its fragments, the same whole and in chunks', async () => {
    const content = Buffer.from(await caseOf('index_then_fragments.mp4'));
    content.writeUInt32BE(0, content.lastIndexOf('stsz') + 12);
    const whole = await transcribe(content);
    expect(whole.samples.length).to.equal(49_152);
    expect(whole.samples.subarray(-16_000).some((sample) => Math.abs(sample) > 0.1)).to.equal(true);
    expect(whole.warnings).to.deep.equal([]);
    expectSame(await transcribe(inParts(content, 997)), whole);
  });

  it('of MP4 may say that its writer did not know the duration', async () => {
    const bytes = await fixture('speech-48k-mono-faststart.m4a');
    const unknown = Buffer.from(bytes);
    unknown.writeUInt32BE(0xffff_ffff, unknown.indexOf('mdhd') + 20);
    expectSame(await transcribe(unknown), await transcribe(bytes));
  });

  it('with missing MP4 frames reports how much is missing', async () => {
    const bytes = await fixture('speech-48k-mono-faststart.m4a');
    const { samples, warnings } = await transcribe(bytes.subarray(0, bytes.length - 3_000));
    expect(samples.length).to.be.within(10_000, 30_000);
    expect(warnings[0]).to.contain('are missing');
  });
});
