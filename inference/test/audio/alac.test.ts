import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createAlacDecoder } from '../../src/media/audio/decoders/alac.js';
import type { TimedBlock } from '../../src/media/audio/decoders/packet-decoder.js';
import { Random } from '../support/random.js';
import { caseOf, expectSame, inParts, needsFfmpeg, transcribe } from './read-audio.js';

interface Setup {
  readonly frameLength?: number;
  readonly version?: number;
  readonly bitDepth?: number;
  readonly limit?: number;
  readonly channels?: number;
  readonly rateHz?: number;
}

/** The configuration of Apple's encoder, with the given changes. */
function setup({
  frameLength = 4_096,
  version = 0,
  bitDepth = 16,
  limit = 14,
  channels = 1,
  rateHz = 16_000,
}: Setup): Uint8Array {
  const view = new DataView(new ArrayBuffer(24));
  view.setUint32(0, frameLength);
  view.setUint8(4, version);
  view.setUint8(5, bitDepth);
  view.setUint8(6, 40);
  view.setUint8(7, 10);
  view.setUint8(8, limit);
  view.setUint8(9, channels);
  view.setUint32(20, rateHz);
  return new Uint8Array(view.buffer);
}

function decoderOf(given: Setup) {
  return createAlacDecoder({ codec: 'alac', sampleRateHz: 16_000, channelCount: 1, description: setup(given) });
}

type Fields = readonly (readonly [number, number])[];

/** Packs pairs of a value and its width in bits. */
function packed(...fields: Fields): Uint8Array {
  const bits = fields
    .map(([value, width]) =>
      (value >>> 0)
        .toString(2)
        .padStart(32, '0')
        .slice(32 - width),
    )
    .join('');
  return Uint8Array.from(bits.match(/.{1,8}/g) ?? [], (byte) => Number.parseInt(byte.padEnd(8, '0'), 2));
}

/** A packet of uncompressed samples that declares `count` samples, behind other elements. */
function plainPacket(
  samples: readonly number[],
  bitDepth: number,
  count = samples.length,
  others: Fields = [],
): Uint8Array {
  const values = samples.map((sample) => [sample, bitDepth] as const);
  return packed(...others, [0, 3], [0, 4], [0, 12], [1, 1], [0, 2], [1, 1], [count, 32], ...values, [7, 3]);
}

async function decodeOne(given: Setup, data: Uint8Array): Promise<{ blocks: readonly TimedBlock[]; said: string }> {
  const decoder = await decoderOf(given);
  const blocks = await decoder.decode({ data, timestampSeconds: 1.5, durationSeconds: 0 });
  return { blocks, said: decoder.warnings.join() };
}

describe('ALAC', () => {
  it('matches ffmpeg, whole and in chunks', async () => {
    const content = await caseOf('alac.m4a');
    const whole = await transcribe(content);
    expect(whole.track?.codec).to.equal('ALAC');
    expect(whole.warnings).to.deep.equal([]);
    const samples = Buffer.from(Int16Array.from(whole.samples, (sample) => sample * 32_768).buffer);
    expect(createHash('sha256').update(samples).digest('hex')).to.equal(
      '0f8e7b446750517dfc5f444bccb67d2f65b05e2d2476d93600cee814f5791cc2',
    );
    for (const size of [65_536, 1_024]) expectSame(await transcribe(inParts(content, size)), whole);
  });

  it('is lossless: 16 and 24 bits, mono and stereo, speech-like and noise, 96 kHz, in MP4 and Matroska', async function () {
    needsFfmpeg(this);
    const dir = await mkdtemp(join(tmpdir(), 'heimdex-alac-'));
    try {
      const speechLike = 'aevalsrc=0.7*random(0)*sin(300*t*t)|0.9*sin(2000*t):s=16000:d=1';
      const noise = 'anoisesrc=a=1:r=16000:d=1';
      const silence = 'anullsrc=r=16000:cl=stereo:d=1';
      const files = (
        [
          [speechLike, 16, 16_000, 'm4a'],
          [noise, 16, 16_000, 'm4a'],
          [silence, 16, 16_000, 'm4a'],
          [speechLike, 24, 16_000, 'm4a'],
          [noise, 24, 16_000, 'm4a'],
          [silence, 24, 16_000, 'm4a'],
          // The 16 bits of the container's rate cannot hold it.
          [speechLike, 24, 96_000, 'm4a'],
          [speechLike, 16, 44_100, 'mka'],
          [noise, 24, 96_000, 'mka'],
        ] as const
      ).map(([source, bits, rateHz, ending], index) => ({
        name: `${source}, ${bits} bits, ${rateHz} Hz, ${ending}`,
        source: ['-f', 'lavfi', '-i', source],
        alac: join(dir, `${index}.${ending}`),
        wav: join(dir, `${index}.wav`),
        encoding: [
          '-map',
          `${index}`,
          '-ar',
          `${rateHz}`,
          '-sample_fmt',
          bits === 16 ? 's16p' : 's32p',
          '-c:a',
          'alac',
        ],
        decoding: ['-map', `${index}`, '-c:a', `pcm_s${bits}le`],
      }));
      // All files in one process each way.
      const ffmpeg = (args: readonly string[]) => spawnSync('ffmpeg', ['-v', 'error', ...args], { encoding: 'utf8' });
      const made = ffmpeg([
        ...files.flatMap(({ source }) => source),
        ...files.flatMap(({ encoding, alac }) => [...encoding, alac]),
      ]);
      expect(made.status, made.stderr).to.equal(0);
      const read = ffmpeg([
        ...files.flatMap(({ alac }) => ['-i', alac]),
        ...files.flatMap(({ decoding, wav }) => [...decoding, wav]),
      ]);
      expect(read.status, read.stderr).to.equal(0);
      for (const { name, alac, wav } of files) {
        const [one, other] = [await transcribe(await readFile(alac)), await transcribe(await readFile(wav))];
        expect(one.track?.codec, name).to.equal('ALAC');
        expect(one.samples.length, name).to.equal(other.samples.length);
        expect(Buffer.from(one.samples.buffer).equals(Buffer.from(other.samples.buffer)), name).to.equal(true);
      }
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  for (const bitDepth of [16, 20, 24, 32]) {
    it(`reads uncompressed samples of ${bitDepth} bits`, async () => {
      const full = 2 ** (bitDepth - 1);
      const { blocks } = await decodeOne({ bitDepth }, plainPacket([0, full / 2, -full, -1], bitDepth));
      expect(blocks).to.have.length(1);
      expect(blocks[0]).to.include({ sampleRateHz: 16_000, timestampSeconds: 1.5 });
      expect([...(blocks[0]?.channels[0] ?? [])]).to.deep.equal([0, 0.5, -1, Math.fround(-1 / full)]);
    });
  }

  it('skips data and fillings of any length before its samples', async () => {
    const bytes = (count: number) => new Array(count).fill([0xff, 8]) as Fields;
    for (const others of [
      [[6, 3], [1, 4], ...bytes(1)],
      [[6, 3], [15, 4], [2, 8], ...bytes(16)],
      [[4, 3], [0, 4], [0, 1], [3, 8], ...bytes(3)],
      [[4, 3], [0, 4], [1, 1], [255, 8], [1, 8], ...bytes(256)],
      // Aligned to bytes by one bit.
      [[6, 3], [0, 4], [4, 3], [0, 4], [1, 1], [2, 8], [0, 1], ...bytes(2)],
    ] as readonly Fields[]) {
      const { blocks, said } = await decodeOne({}, plainPacket([16_384, -32_768], 16, 2, others));
      expect([...(blocks[0]?.channels[0] ?? [])], said).to.deep.equal([0.5, -1]);
    }
  });

  it('leaves a missing channel silent', async () => {
    const { blocks } = await decodeOne({ channels: 2 }, plainPacket([16_384, 16_384], 16));
    expect(blocks[0]?.channels.map((channel) => [...channel])).to.deep.equal([
      [0.5, 0.5],
      [0, 0],
    ]);
  });

  for (const [what, data] of [
    ['nothing in it', new Uint8Array(0)],
    ['only an end', packed([7, 3])],
    ['more samples than it has bytes for', plainPacket([1, 2, 3], 16, 4_000)],
    ['more samples than the setup allows', plainPacket([1, 2, 3], 16, 0xffff_ffff)],
    ['no samples', plainPacket([], 16, 0)],
    ['an element that is not known', packed([2, 3], [0, 32])],
    ['a filling beyond its end', packed([6, 3], [15, 4], [255, 8])],
    ['factors beyond its end', packed([0, 3], [0, 16], [0, 4], [0, 16], [0x0f, 8], [0x1f, 8], [1, 16])],
    ['ones only', new Uint8Array(500).fill(0xff)],
  ] as const) {
    it(`skips a packet with ${what}, with a warning`, async () => {
      const { blocks, said } = await decodeOne({}, data);
      expect(blocks).to.deep.equal([]);
      expect(said).to.equal('1 damaged ALAC frames were skipped.');
    });
  }

  it('stays in range and length for any packet', async () => {
    const decoder = await decoderOf({ channels: 2, bitDepth: 24 });
    const random = new Random(7);
    for (let round = 0; round < 300; round++) {
      const data = random.bytes(400);
      // A compressed channel pair: its random bits are decoded.
      data.set([0x20 | ((data[0] ?? 0) % 2), 0, 0x00]);
      for (const { channels } of await decoder.decode({ data, timestampSeconds: 0, durationSeconds: 0 })) {
        for (const channel of channels) {
          expect(channel.length).to.be.at.most(4_096);
          expect(channel.every((sample) => sample >= -1 && sample <= 1)).to.equal(true);
        }
      }
    }
    expect(decoder.warnings).to.have.length(1);
  });

  for (const [given, message] of [
    [{ frameLength: 0 }, 'frame length 0'],
    [{ frameLength: 0xffff_ffff }, 'frame length 4294967295'],
    [{ bitDepth: 17 }, 'bit depth 17'],
    [{ version: 1 }, 'version 1'],
    [{ limit: 0 }, 'limit 0'],
    [{ channels: 200 }, 'channel count 200'],
    [{ rateHz: 5 }, 'sample rate 5 Hz'],
  ] as const) {
    it(`is rejected with ${message}`, async () => {
      const error = await decoderOf(given).catch((reason: unknown) => reason);
      expect(error).to.include({ code: 'AUDIO_UNREADABLE' });
      expect(String(error)).to.contain(message);
    });
  }
});
