import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { PcmFileDecoder } from '../../src/media/audio/decoders/pcm-file.js';
import { readWavHeader } from '../../src/media/audio/decoders/wav.js';
import { caseOf, expectSame, inParts, needsFfmpeg, refusal, transcribe } from './read-audio.js';
import { chunk } from './wav-file.js';

const MS = 2;
const IMA = 17;
const GSM = 49;

/** The decoded samples before mixing and resampling, interleaved in 16 bits. */
async function samplesOf(content: Uint8Array): Promise<Buffer> {
  const decoder = new PcmFileDecoder('WAV', readWavHeader(), content.length);
  const blocks = [...(await decoder.push(content)), ...(await decoder.finish())];
  decoder.close();
  const samples = blocks.flatMap(({ channels }) =>
    Array.from(channels[0] ?? [], (_, index) => channels.map((channel) => (channel[index] ?? 0) * 32_768)).flat(),
  );
  return Buffer.from(Int16Array.from(samples).buffer);
}

interface Header {
  readonly tag: number;
  readonly channels?: number;
  readonly blockBytes?: number;
  readonly bits?: number;
  /** The extension after `cbSize`. */
  readonly own?: Uint8Array;
}

/** Creates a WAV of a block codec, valid or not. */
function blocksFile(body: Uint8Array, { tag, channels = 1, blockBytes = 256, bits = 4, own }: Header): Uint8Array {
  const format = new DataView(new ArrayBuffer(18 + (own?.length ?? 0)));
  format.setUint16(0, tag, true);
  format.setUint16(2, channels, true);
  format.setUint32(4, 8_000, true);
  format.setUint32(8, 4_000, true);
  format.setUint16(12, blockBytes, true);
  format.setUint16(14, bits, true);
  format.setUint16(16, own?.length ?? 0, true);
  if (own !== undefined) new Uint8Array(format.buffer).set(own, 18);
  const rest = Buffer.concat([Buffer.from('WAVE'), chunk('fmt ', new Uint8Array(format.buffer)), chunk('data', body)]);
  const head = Buffer.alloc(8);
  head.write('RIFF', 'latin1');
  head.writeUInt32LE(rest.length, 4);
  return new Uint8Array(Buffer.concat([head, rest]));
}

describe('Telephone speech in WAV', () => {
  for (const [name, codec, seconds, hash] of [
    [
      'telephone_adpcm_ms.wav',
      'Microsoft ADPCM',
      3.054,
      '7a7680df8cd2e6ce34f424096ff9b52fc41faa40c47415e7a3290c0c0273f867',
    ],
    ['telephone_gsm.wav', 'GSM 6.10', 3, 'cf127aeaefd115f2320e827141932a4e0fd6ebc0bf0609eec02965172fcd5dc2'],
  ] as const) {
    it(`matches ffmpeg: ${name}`, async () => {
      const samples = await samplesOf(await caseOf(name));
      expect(createHash('sha256').update(samples).digest('hex')).to.equal(hash);
    });

    it(`decodes to the same samples in chunks: ${name}`, async () => {
      const content = await caseOf(name);
      const whole = await transcribe(content);
      expect(whole.track?.codec).to.equal(codec);
      expect(whole.samples.length / 16_000).to.be.closeTo(seconds, 0.02);
      expect(whole.warnings).to.deep.equal([]);
      expectSame(await transcribe(inParts(content, 1_000)), whole);
    });

    it(`may count a byte that fills its data: ${name}`, async () => {
      const content = Buffer.concat([await caseOf(name), Buffer.alloc(1)]);
      const size = content.indexOf('data') + 4;
      const whole = await transcribe(content.subarray(0, -1));
      content.writeUInt32LE(content.readUInt32LE(size) + 1, size);
      expectSame(await transcribe(content), whole);
    });

    it(`is read whatever its header says of bytes per second: ${name}`, async () => {
      const content = Buffer.from(await caseOf(name));
      const whole = await transcribe(content);
      content.writeUInt32LE(1, 28);
      expectSame(await transcribe(content), whole);
    });

    it(`is read up to its end if truncated, with a warning: ${name}`, async () => {
      const content = await caseOf(name);
      const { samples, warnings } = await transcribe(content.subarray(0, Math.floor(content.length * 0.6)));
      expect(samples.length / 16_000 / seconds).to.be.within(0.5, 0.65);
      expect(warnings.join()).to.contain('The WAV is truncated');
    });
  }

  it('matches ffmpeg on its own encodings: both kinds of ADPCM, mono and stereo, whole and truncated', async function () {
    needsFfmpeg(this);
    const dir = await mkdtemp(join(tmpdir(), 'heimdex-telephone-'));
    try {
      for (const codec of ['adpcm_ms', 'adpcm_ima_wav']) {
        for (const mix of ['mono|c0=c0', 'stereo|c0=c0|c1=0.7*c1']) {
          const path = join(dir, `${codec}-${mix.slice(0, 4)}.wav`);
          const source = ['-f', 'lavfi', '-i', 'aevalsrc=random(0)*sin(300*t*t)|0.9*sin(2000*t):s=11025:d=1'];
          const made = spawnSync('ffmpeg', ['-v', 'error', ...source, '-af', `pan=${mix}`, '-c:a', codec, path]);
          expect(made.status, String(made.stderr)).to.equal(0);
          const content = await readFile(path);
          for (const part of [content, content.subarray(0, content.length - 333)]) {
            const read = spawnSync('ffmpeg', ['-v', 'error', '-i', '-', '-f', 's16le', '-'], { input: part });
            expect((await samplesOf(part)).equals(read.stdout), `${path}, ${part.length} bytes`).to.equal(true);
          }
        }
      }
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  it('keeps samples in range for any prediction', async () => {
    const loud = new Uint8Array(256).fill(0x77);
    loud.set([1, 0xff, 0x7f, 0xff, 0x7f, 0x00, 0x80]);
    for (const header of [{ tag: MS }, { tag: IMA }]) {
      if (header.tag === IMA) loud.set([0xff, 0x7f, 88, 0]);
      const { samples, warnings } = await transcribe(blocksFile(loud, header));
      expect(samples.every((sample) => sample >= -1 && sample <= 1)).to.equal(true);
      expect(warnings).to.deep.equal([]);
    }
  });

  it('is silent at a damaged block, with a warning', async () => {
    for (const [tag, at] of [
      [MS, 0],
      [IMA, 2],
    ] as const) {
      const body = new Uint8Array(256 * 20);
      body[256 * 3 + at] = 200;
      const { samples, warnings } = await transcribe(blocksFile(body, { tag }));
      expect(warnings.join()).to.contain('1 damaged');
      const whole = await transcribe(blocksFile(new Uint8Array(256 * 20), { tag }));
      expect(samples.length).to.equal(whole.samples.length);
    }
  });

  it('uses the coefficients of its header', async () => {
    const own = new Uint8Array(new Int16Array([500, 1, 128, 0]).buffer);
    const block = Uint8Array.from([0, 16, 0, 0x00, 0x10, 0x00, 0x10, 0x00]);
    const samples = await samplesOf(blocksFile(block, { tag: MS, blockBytes: 8, own }));
    expect([...new Int16Array(samples.buffer, samples.byteOffset, 4)]).to.deep.equal([4_096, 4_096, 2_048, 1_024]);
  });

  it('has its coefficients behind the fields of an extensible header, as FFmpeg writes it above 48 kHz', async () => {
    const coefficients = new Uint8Array(new Int16Array([500, 1, 128, 0]).buffer);
    const fields = new Uint8Array(22);
    fields[6] = MS;
    const block = Uint8Array.from([0, 16, 0, 0x00, 0x10, 0x00, 0x10, 0x00]);
    const own = Buffer.concat([fields, coefficients]);
    const samples = await samplesOf(blocksFile(block, { tag: 0xfffe, blockBytes: 8, own }));
    expect(samples.equals(await samplesOf(blocksFile(block, { tag: MS, blockBytes: 8, own: coefficients })))).to.equal(
      true,
    );
  });

  for (const [what, header, said] of [
    ['a block size of 0', { tag: MS, blockBytes: 0 }, 'is 0'],
    ['a block smaller than its header', { tag: MS, channels: 2, blockBytes: 13 }, '13 bytes'],
    ['a block of IMA smaller than its header', { tag: IMA, blockBytes: 3 }, '3 bytes'],
    ['too many channels', { tag: IMA, channels: 8, blockBytes: 2_048 }, 'channel count 8'],
    ['unsupported bits per sample', { tag: MS, bits: 16 }, '16 bits'],
    ['missing coefficients', { tag: MS, own: Uint8Array.from([0, 1, 255, 255, 0, 0]) }, '65535 coefficient pairs'],
    ['two channels of GSM', { tag: GSM, channels: 2, blockBytes: 130, bits: 0 }, 'channel count 2'],
    ['an unsupported block size of GSM', { tag: GSM, blockBytes: 33, bits: 0 }, '33 bytes'],
  ] as const) {
    it(`is rejected with ${what} in its header`, async () => {
      const error = await refusal(blocksFile(new Uint8Array(5_000), header));
      expect(error.code).to.equal('AUDIO_UNREADABLE');
      expect(error.message).to.contain(said);
    });
  }
});
