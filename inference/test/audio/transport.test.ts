import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { AdtsResync } from '../../src/media/audio/containers/adts-mark.js';
import { TransportResync } from '../../src/media/audio/containers/transport-resync.js';
import { createAacDecoder } from '../../src/media/audio/decoders/aac.js';
import type { TimedBlock } from '../../src/media/audio/decoders/packet-decoder.js';
import { findTransportLayout } from '../../src/media/audio/transport-layout.js';
import { inRepository } from '../support/paths.js';
import { errorOf } from '../support/rejection.js';
import { alike, caseOf, expectSame, inParts, needsFfmpeg, transcribe } from './read-audio.js';

const VIDEO = 'video_h264_aac.mpegts';
const PACKET_BYTES = 188;

/** Packets with bytes before and after each. */
function wrapped(packets: Uint8Array, before: number, after: number): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < packets.length; at += PACKET_BYTES)
    parts.push(new Uint8Array(before), packets.subarray(at, at + PACKET_BYTES), new Uint8Array(after));
  return Buffer.concat(parts);
}

/** A packet with a section of a table, whose checksum nobody reads. */
function sectionPacket(pid: number, section: readonly number[]): Uint8Array {
  const packet = new Uint8Array(PACKET_BYTES).fill(0xff);
  packet.set([0x47, 0x40 | (pid >> 8), pid & 0xff, 0x10, 0, ...section]);
  return packet;
}

describe('MPEG-TS', () => {
  it('and ADTS are changed in copies: the bytes of the caller stay as they are', async () => {
    const video = await caseOf(VIDEO);
    const adts = await caseOf('adts.aac');
    for (const [content, resync] of [
      [video, new TransportResync(video)],
      [adts, new AdtsResync()],
    ] as const) {
      const given = Uint8Array.from(content);
      const passed = Buffer.concat([resync.push(given), resync.end()]);
      expect(passed.length).to.be.greaterThan(given.length / 2);
      passed.fill(0);
      resync.push(given).fill(0);
      expect(Buffer.compare(given, content)).to.equal(0);
    }
  });

  it('with a timestamp before each packet, or a checksum after it, has the samples of the plain one', async () => {
    const video = await caseOf(VIDEO);
    const plain = await transcribe(video);
    for (const content of [wrapped(video, 4, 0), wrapped(video, 0, 16)]) {
      for (const given of [content, inParts(content, 1_000)]) expectSame(await transcribe(given), plain);
    }
  });

  it('cut in the middle of a packet is read from the next on', async () => {
    const video = await caseOf(VIDEO);
    const plain = await transcribe(video);
    // The part of a packet before the first one, as if the file had begun earlier.
    for (const part of [1, 100, 187]) {
      const content = Buffer.concat([video.subarray(PACKET_BYTES - part, PACKET_BYTES), video]);
      expect((await transcribe(content)).samples).to.deep.equal(plain.samples);
    }
    expect(findTransportLayout(new Uint8Array(8_192))).to.equal(undefined);
  });

  it('with packets of data (PES) that have no time of their own is read to its end', async () => {
    const video = await caseOf(VIDEO);
    const plain = await transcribe(video);
    const untimed = Buffer.from(video);
    let begun = 0;
    for (let at = 0; at < untimed.length; at += PACKET_BYTES) {
      const packet = untimed.subarray(at, at + PACKET_BYTES);
      const header = packet.indexOf('000001c0', 'hex');
      if (packet.readUInt16BE(1) !== 0x4101 || begun++ % 3 === 0) continue;
      packet[header + 7] = (packet[header + 7] ?? 0) & 0x3f;
    }
    expect(begun).to.be.above(3);
    const { samples, warnings } = await transcribe(inParts(untimed, 1_000));
    expect(samples.length).to.equal(plain.samples.length);
    expect(alike(samples, plain.samples, 4).value).to.be.above(0.999);
    expect(warnings).to.deep.equal([]);
  });

  it('with a program map in several packets, which others lie between, is read', async () => {
    const video = await caseOf(VIDEO);
    const plain = await transcribe(video);
    const descriptor = [0x80, 200, ...new Uint8Array(200)];
    const streams = [27, 0xe1, 0, 0xf0, 0, 15, 0xe1, 1, 0xf0, 0];
    const map = [2, 0xb0, 0, 0, 1, 0xc1, 0, 0, 0xe1, 0, 0xf0, descriptor.length, ...descriptor, ...streams];
    map[2] = map.length + 1;
    const begin = sectionPacket(0x1000, map.slice(0, 183));
    const rest = sectionPacket(0x1000, map.slice(183));
    // It goes on, without the byte that tells where a section begins.
    rest[1] = 0x10;
    rest.copyWithin(4, 5);
    const [replaced, other] = [2 * PACKET_BYTES, 4 * PACKET_BYTES];
    const before = [video.subarray(0, replaced), begin, video.subarray(replaced + PACKET_BYTES, other)];
    const content = Buffer.concat([...before, rest, video.subarray(other)]);
    expect((await transcribe(content)).samples).to.deep.equal(plain.samples);
  });

  it('with several programs is read as the first that has audio', async () => {
    const video = await caseOf(VIDEO);
    const plain = await transcribe(video);
    // Network information, a program of video alone, that of the audio, and one without a map.
    const programs = [0, 16, 7, 0xe200, 1, 0xf000, 9, 0xe300].flatMap((value) => [value >> 8, value & 0xff]);
    const list = sectionPacket(0, [0, 0xb0, programs.length + 9, 0, 1, 0xc1, 0, 0, ...programs]);
    const map = sectionPacket(0x200, [2, 0xb0, 18, 0, 7, 0xc1, 0, 0, 0xe0, 0, 0xf0, 0, 27, 0xe2, 1, 0xf0, 0]);
    const others = Buffer.concat([video.subarray(0, PACKET_BYTES), list, map, video.subarray(2 * PACKET_BYTES)]);
    for (const content of [others, inParts(others, PACKET_BYTES)]) {
      const { samples, warnings } = await transcribe(content);
      expect(samples).to.deep.equal(plain.samples);
      expect(warnings).to.deep.equal(['The MPEG-TS lists 3 programs; the first with audio was used.']);
    }
  });

  it('is read with the audio that FFmpeg writes into M2TS as private data, or by a number of Blu-ray', async function () {
    needsFfmpeg(this);
    const dir = await mkdtemp(join(tmpdir(), 'heimdex-m2ts-'));
    try {
      const speech = inRepository('demo/samples/speech/party.flac');
      const { samples: source } = await transcribe(await readFile(speech));
      const files = [
        ['aac', 'AAC'],
        ['libmp3lame', 'MP3'],
        ['eac3', 'E-AC-3'],
        ['ac3', 'AC-3'],
      ] as const;
      const pathOf = (encoder: string) => join(dir, `${encoder}.m2ts`);
      const outputs = files.flatMap(([encoder]) => ['-t', '3', '-c:a', encoder, '-ar', '48000', pathOf(encoder)]);
      const made = spawnSync('ffmpeg', ['-v', 'error', '-i', speech, ...outputs]);
      expect(made.status, String(made.stderr)).to.equal(0);
      for (const [encoder, codec] of files) {
        const { samples, track, warnings } = await transcribe(inParts(await readFile(pathOf(encoder)), 10_000));
        expect(track?.codec).to.equal(codec);
        expect(samples.length / 16_000).to.be.closeTo(3, 0.06);
        expect(alike(source.subarray(0, 40_000), samples, 1_000).value, encoder).to.be.above(0.95);
        expect(warnings, encoder).to.deep.equal([]);
      }
    } finally {
      await rm(dir, { recursive: true });
    }
  });
});

describe('AAC in MPEG-TS', () => {
  it('is read beside private data that is no audio, or FLAC, which begins like AAC', async function () {
    needsFfmpeg(this);
    const tone = ['-v', 'error', '-f', 'lavfi', '-t', '0.5', '-i', 'sine=r=48000'];
    const maps = ['-map', '0', '-map', '0', '-c:a:0', 'flac', '-c:a:1', 'aac', '-f', 'mpegts', '-'];
    const { stdout } = spawnSync('ffmpeg', [...tone, ...maps]);
    const flac = stdout.indexOf('fff8', 'hex');
    expect(flac).to.be.above(0);
    const other = Buffer.from(stdout);
    other.fill(0xff, flac, flac + 4);
    for (const content of [stdout, other]) {
      const { samples, track } = await transcribe(content);
      expect(track?.codec).to.equal('AAC');
      expect(samples.length / 16_000).to.be.closeTo(0.5, 0.1);
    }
  });

  it('is read through a frame whose header claims several blocks of samples', async () => {
    const content = await caseOf('video_h264_aac.mpegts');
    const whole = await transcribe(content);
    const damaged = Buffer.from(content);
    // The rate and the channels of its frames, and the last byte of a header without damage.
    const found = Array.from(damaged.subarray(0, -6)).flatMap((_, at) =>
      damaged.readUInt16BE(at) === 0xfff1 && damaged[at + 6] === 0xfc ? [at] : [],
    );
    damaged[(found[20] ?? 0) + 6] = 0xfd;
    expect(found.length).to.be.above(21);
    expectSame(await transcribe(damaged), whole);
  });
});

describe('AAC without a container', () => {
  it('cut in the middle of a frame is read from the next on', async () => {
    const content = await caseOf('adts.aac');
    const whole = await transcribe(content);
    const cut = await transcribe(content.subarray(100));
    expect(cut.track?.codec).to.equal('AAC');
    expect(whole.samples.length - cut.samples.length).to.be.within(1, 2_048);
  });

  it('is read behind a frame whose header is damaged', async () => {
    const frames = framesOf(await caseOf('adts.aac'));
    const whole = await transcribe(Buffer.concat(frames));
    const damaged = frames.map((frame) => Uint8Array.from(frame));
    // It would have two blocks of samples, which no encoder writes.
    for (const frame of damaged.slice(20, 21)) frame[6] = (frame[6] ?? 0) | 1;
    const { samples, warnings } = await transcribe(Buffer.concat(damaged));
    expect(whole.samples.length - samples.length).to.be.within(1, 2_048);
    expect(warnings.join()).to.match(/^\d+ bytes of the AAC \(ADTS\) file are damaged and were skipped\.$/);
  });

  it('loses only the frames that are damaged, in however many positions', async () => {
    const frames = framesOf(await caseOf('adts.aac'));
    const format = { codec: 'aac', sampleRateHz: 16_000, channelCount: 1, description: undefined } as const;
    const decoder = await createAacDecoder(format, { splits: 5, jumpsBack: 0 });
    for (const [index, frame] of frames.entries())
      await decoder.decode({ data: index % 20 === 10 ? noiseFor(frame, index) : frame, ...timesOf(index) });
    const blocks = await decoder.flush();
    expect(blocks.reduce((sum, { channels }) => sum + (channels[0]?.length ?? 0), 0)).to.equal(48 * 1_024);
    expect(decoder.warnings).to.deep.equal(['6 damaged AAC frames were replaced by silence.']);
    decoder.close();
  });

  it('whose times come closer than its frames last is cut where they are 0.15 s behind, as other codecs are', async () => {
    const frames = framesOf(await caseOf('adts.aac'));
    const format = { codec: 'aac', sampleRateHz: 16_000, channelCount: 1, description: undefined } as const;
    const decoder = await createAacDecoder(format);
    // FFmpeg joins a file that begins with what its edit list leaves out like this.
    for (const [index, data] of frames.entries())
      await decoder.decode({ data, ...timesOf(index < 10 ? index : index < 20 ? 10 + index * 1e-4 : index - 9.9) });
    const blocks = await decoder.flush();
    expect(blocks.at(-1)?.timestampSeconds).to.be.within(10 * 0.064, 11 * 0.064);
    decoder.close();
  });

  it('is read up to where it is damaged in too many positions', async () => {
    const frames = framesOf(await caseOf('adts.aac'));
    const good = Array.from({ length: 300 }, (_, index) => frames[index % frames.length] as Uint8Array);
    const format = { codec: 'aac', sampleRateHz: 16_000, channelCount: 1, description: undefined } as const;
    const decoder = await createAacDecoder(format, { splits: 10, jumpsBack: 0 });
    const blocks: TimedBlock[] = [];
    for (const [index, data] of [...good, ...good.map(noiseFor)].entries())
      blocks.push(...(await decoder.decode({ data, ...timesOf(index) })));
    blocks.push(...(await decoder.flush()));
    const samples = blocks.reduce((sum, { channels }) => sum + (channels[0]?.length ?? 0), 0);
    expect(samples / 1_024).to.be.within(300, 400);
    expect(decoder.warnings.at(-1)).to.equal('The AAC is damaged in too many positions.');
    expect((await errorOf(decoder.flush())).message).to.equal('The AAC is damaged in too many positions.');
    decoder.close();
  });
});

/** A frame with the header of another. */
function noiseFor(frame: Uint8Array, index: number): Uint8Array {
  const noise = Uint8Array.from(frame);
  for (let at = 7; at < noise.length; at++) noise[at] = (at * 7_919 + index * 104_729) >> 3;
  return noise;
}

/** The times of a frame at 16 kHz. */
function timesOf(index: number): { readonly timestampSeconds: number; readonly durationSeconds: number } {
  return { timestampSeconds: index * 0.064, durationSeconds: 0.064 };
}

function framesOf(content: Uint8Array): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let at = 0; at + 7 < content.length; ) {
    const [a = 0, b = 0, c = 0] = content.subarray(at + 3, at + 6);
    const length = ((a & 3) << 11) | (b << 3) | (c >> 5);
    frames.push(content.subarray(at, at + length));
    at += length;
  }
  return frames;
}
