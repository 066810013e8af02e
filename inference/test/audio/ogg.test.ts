import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createVorbisDecoder } from '../../src/media/audio/decoders/vorbis.js';
import { inRepository } from '../support/paths.js';
import { errorOf } from '../support/rejection.js';
import { alike, expectSame, fixture, needsFfmpeg, transcribe } from './read-audio.js';

const CODECS = [
  { ending: 'opus', settings: ['-c:a', 'libopus', '-b:a', '32k'], least: 0.97 },
  { ending: 'ogg', settings: ['-c:a', 'libvorbis', '-ar', '44100'], least: 0.99 },
  { ending: 'oga', settings: ['-c:a', 'flac', '-ar', '16000'], least: 0.999 },
] as const;
const RATE_HZ = 16_000;

/** Splits a stream into its pages. */
function pagesOf(content: Buffer): Buffer[] {
  const starts: number[] = [];
  for (let at = content.indexOf('OggS'); at >= 0; at = content.indexOf('OggS', at + 4)) starts.push(at);
  return starts.map((start, index) => content.subarray(start, starts[index + 1] ?? content.length));
}

describe('The times of Ogg', () => {
  let dir: string;
  let source: Float32Array;
  const speech = inRepository('demo/samples/speech/party.flac');
  const pathOf = (name: string) => join(dir, name);
  const ffmpeg = (...args: string[]) => spawnSync('ffmpeg', ['-v', 'error', '-y', ...args]).status;

  before(async function () {
    needsFfmpeg(this);
    dir = await mkdtemp(join(tmpdir(), 'heimdex-ogg-'));
    source = (await transcribe(await readFile(speech))).samples;
    const whole = CODECS.map(({ ending }) => pathOf(`whole.${ending}`));
    const made = CODECS.flatMap(({ settings }, index) => [...settings, '-page_duration', '500000', whole[index] ?? '']);
    expect(ffmpeg('-i', speech, ...made)).to.equal(0);
    const inputs = whole.flatMap((path) => ['-ss', '2.3', '-i', path]);
    const cut = CODECS.flatMap(({ ending }, index) => ['-map', `${index}`, '-c', 'copy', pathOf(`cut.${ending}`)]);
    expect(ffmpeg(...inputs, ...cut)).to.equal(0);
  });

  after(async () => {
    if (dir !== undefined) await rm(dir, { recursive: true });
  });

  for (const { ending, least } of CODECS) {
    it(`begin where a cut file tells, not at the page before it: ${ending}`, async () => {
      const { samples, warnings } = await transcribe(await readFile(pathOf(`cut.${ending}`)));
      expect(samples.length / RATE_HZ).to.be.closeTo(source.length / RATE_HZ - 2.3, 0.002);
      expect(alike(source.subarray(3 * RATE_HZ, 5 * RATE_HZ), samples.subarray(0.7 * RATE_HZ), 80).value).to.be.above(
        least,
      );
      expect(warnings).to.deep.equal([]);
    });

    it(`go on after missing pages, which become silence: ${ending}`, async () => {
      const pages = pagesOf(await readFile(pathOf(`whole.${ending}`)));
      const content = Buffer.concat([...pages.slice(0, 5), ...pages.slice(7)]);
      const { samples, warnings } = await transcribe(content);
      expect(samples.length / RATE_HZ).to.be.closeTo(source.length / RATE_HZ, 0.03);
      const end = 5 * RATE_HZ;
      expect(alike(source.subarray(end, end + 16_000), samples.subarray(end), 480).value).to.be.above(least);
      expect(warnings.join()).to.match(/s of missing Ogg pages were replaced by silence/);
    });
  }
});

/** Writes the checksum of a page (RFC 3533). */
function withChecksum(page: Buffer): Buffer {
  page.writeUInt32LE(0, 22);
  let crc = 0;
  for (const byte of page) {
    crc ^= byte << 24;
    for (let bit = 0; bit < 8; bit++) crc = crc < 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  }
  page.writeUInt32LE(crc >>> 0, 22);
  return page;
}

describe('The output gain of Opus in Ogg', () => {
  it('applies to all samples', async () => {
    const content = Buffer.from(await fixture('speech-48k-stereo.opus'));
    const whole = await transcribe(content);
    const gain = content.indexOf('OpusHead') + 16;
    content.writeInt16LE(-20 * 256, gain);
    withChecksum(content.subarray(0, content.indexOf('OggS', 4)));
    const quiet = await transcribe(content);
    const power = (samples: Float32Array) => samples.reduce((sum, sample) => sum + sample ** 2, 0);
    expect(power(quiet.samples) / power(whole.samples)).to.be.closeTo(0.01, 0.0001);
    expect(quiet.warnings).to.deep.equal([]);
  });
});

describe('Streams of audio at the same time in Ogg', () => {
  it('are named in a warning, except the first, which is used', async () => {
    const [opus, vorbis] = await Promise.all(
      ['speech-16k-mono.opus', 'speech-8k-mono.vorbis.ogg'].map(async (name) => Buffer.from(await fixture(name))),
    );
    const alone = await transcribe(opus as Buffer);
    const [first, ...rest] = pagesOf(opus as Buffer);
    // Both have the same serial number.
    const [second, ...others] = pagesOf(vorbis as Buffer).map((page) => withChecksum(page.fill(9, 14, 18)));
    const pages = [first, second, ...rest.flatMap((page, at) => [page, ...others.slice(at, at + 1)])] as Buffer[];
    const both = await transcribe(Buffer.concat(pages));
    expect(both.samples.length).to.equal(alone.samples.length);
    expect(both.warnings).to.deep.equal([
      'The Ogg file has other audio streams at the same time, which were not used: Vorbis.',
    ]);
  });
});

describe('Tags in Ogg', () => {
  it('whose last page is missing end where the sound begins', async () => {
    const content = Buffer.from(await fixture('speech-16k-mono.opus'));
    const alone = await transcribe(content);
    const [first = Buffer.alloc(0), tags = Buffer.alloc(0), ...others] = pagesOf(content);
    const pages = pagesWith(tags, [Buffer.concat([...packetsOf(tags), Buffer.alloc(100_000, 0x55)])]).slice(0, -1);
    for (const page of pages) withChecksum(page);
    expect((await transcribe(Buffer.concat([first, ...pages, ...others]))).samples).to.deep.equal(alone.samples);
  });

  for (const name of ['speech-16k-mono.opus', 'speech-48k-stereo.vorbis.ogg', 'speech-48k-mono.flac.ogg'])
    it(`may need several pages, as with a cover image: ${name}`, async () => {
      const content = Buffer.from(await fixture(name));
      const alone = await transcribe(content);
      const [first = Buffer.alloc(0), headers = Buffer.alloc(0), ...others] = pagesOf(content);
      const [tags = Buffer.alloc(0), ...setup] = packetsOf(headers);
      const pages = pagesWith(headers, [Buffer.concat([tags, Buffer.alloc(200_000, 0x55)]), ...setup]);
      expect(pages.length).to.equal(4);
      for (const [index, page] of [...pages, ...others].entries()) withChecksum(page.fill(index + 1, 18, 19));
      expectSame(await transcribe(Buffer.concat([first, ...pages, ...others])), alone);
    });
});

describe('FLAC in Ogg as before 2004, which VLC still writes', () => {
  it('has the samples of the same stream today', async () => {
    const content = Buffer.from(await fixture('speech-48k-mono.flac.ogg'));
    const today = await transcribe(content);
    const [first = Buffer.alloc(0), ...pages] = pagesOf(content);
    // The first packet is the magic number alone; that of today has the version and STREAMINFO too.
    const start = Buffer.concat([first.subarray(0, 26), Buffer.from([1, 4]), Buffer.from('fLaC')]);
    const info = Buffer.concat([first.subarray(0, 26), Buffer.from([1, 38]), first.subarray(-38)]);
    info[5] = 0;
    for (const [index, page] of [info, ...pages].entries()) withChecksum(page.fill(index + 1, 18, 19));
    const before2004 = await transcribe(Buffer.concat([withChecksum(start), info, ...pages]));
    expect(before2004.samples.length).to.equal(today.samples.length);
    expect(alike(before2004.samples, today.samples, 0).value).to.be.above(0.99999);
    expect(before2004.warnings).to.deep.equal([]);
  });
});

describe('The headers of Vorbis in MP4', () => {
  it('may have their sizes in front of them, as GPAC writes them', async () => {
    const [first, second] = pagesOf(Buffer.from(await fixture('speech-8k-mono.vorbis.ogg')));
    const packets = [...packetsOf(first), ...packetsOf(second)];
    const size = (bytes: number) => Buffer.from([bytes >> 8, bytes & 0xff]);
    const description = Buffer.concat(packets.flatMap((packet) => [size(packet.length), packet]));
    const decoder = await createVorbisDecoder({ codec: 'vorbis', sampleRateHz: 8_000, channelCount: 1, description });
    decoder.close();
    const cut = description.subarray(0, 34);
    const damaged = createVorbisDecoder({ codec: 'vorbis', sampleRateHz: 8_000, channelCount: 1, description: cut });
    expect((await errorOf(damaged)).message).to.equal('The Vorbis headers are damaged.');
  });
});

/** Packets in pages that are as long as they can be, with the header of another page. */
function pagesWith(header: Buffer, packets: readonly Buffer[]): readonly Buffer[] {
  const sizes = packets.flatMap(({ length }) => [...Array(Math.floor(length / 255)).fill(255), length % 255]);
  const content = Buffer.concat(packets);
  const pages: Buffer[] = [];
  let start = 0;
  for (let at = 0; at < sizes.length; at += 255) {
    const own = sizes.slice(at, at + 255);
    const end = start + own.reduce((sum, size) => sum + size, 0);
    const page = Buffer.concat([
      header.subarray(0, 26),
      Buffer.from([own.length, ...own]),
      content.subarray(start, end),
    ]);
    page[5] = at === 0 ? 0 : 1;
    if (own.every((size) => size === 255)) page.fill(0xff, 6, 14);
    pages.push(page);
    start = end;
  }
  return pages;
}

/** The packets that lie within a page. */
function packetsOf(page: Buffer = Buffer.alloc(0)): readonly Buffer[] {
  const packets: Buffer[] = [];
  let start = 27 + (page[26] ?? 0);
  let end = start;
  for (const segment of page.subarray(27, start)) {
    end += segment;
    if (segment < 255) packets.push(page.subarray(start, end));
    if (segment < 255) start = end;
  }
  return packets;
}
