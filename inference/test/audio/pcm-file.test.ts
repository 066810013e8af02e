import { expect } from 'chai';
import { PcmFileDecoder } from '../../src/media/audio/decoders/pcm-file.js';
import {
  type HeaderReader,
  readAiffHeader,
  readAuHeader,
  readCafHeader,
} from '../../src/media/audio/decoders/pcm-headers.js';
import { inParts, refusal, transcribe } from './read-audio.js';
import { wavFile } from './wav-file.js';

const SAMPLES = Int16Array.from({ length: 3_000 }, (_, at) => ((at * 131) % 60_000) - 30_000);
const FLOATS = [...SAMPLES].map((sample) => sample / 32_768);

/** Samples of 16 bits in each byte order, and as float. */
function bodyOf(kind: 's16be' | 's16' | 's24be' | 's32be' | 'f32be' | 'f32'): Buffer {
  const bytes = Buffer.alloc((SAMPLES.length * Number(/\d+/.exec(kind)?.[0])) / 8);
  for (const [at, sample] of SAMPLES.entries()) {
    if (kind === 's16be') bytes.writeInt16BE(sample, 2 * at);
    if (kind === 's16') bytes.writeInt16LE(sample, 2 * at);
    if (kind === 's24be') bytes.writeIntBE(sample * 256, 3 * at, 3);
    if (kind === 's32be') bytes.writeInt32BE(sample * 65_536, 4 * at);
    if (kind === 'f32be') bytes.writeFloatBE(sample / 32_768, 4 * at);
    if (kind === 'f32') bytes.writeFloatLE(sample / 32_768, 4 * at);
  }
  return bytes;
}

const uint = (bytes: 2 | 4, ...values: number[]): Buffer => {
  const buffer = Buffer.alloc(bytes * values.length);
  for (const [at, value] of values.entries()) buffer.writeUIntBE(value, at * bytes, bytes);
  return buffer;
};
const text = (value: string): Buffer => Buffer.from(value, 'latin1');

function au(body: Buffer, { code = 3, size = body.length, rateHz = 16_000, channels = 1 } = {}): Buffer {
  return Buffer.concat([text('.snd'), uint(4, 28, size, code, rateHz, channels), text('note'), body]);
}

/** 16,000 Hz as an 80-bit float. */
const EXTENDED_RATE = Buffer.from('400cfa00000000000000', 'hex');

function aiffChunk(id: string, body: Buffer, size = body.length): Buffer {
  return Buffer.concat([text(id), uint(4, size), body, Buffer.alloc(body.length % 2)]);
}

interface AiffOptions {
  readonly kind?: string;
  readonly bits?: number;
  readonly channels?: number;
  readonly rate?: Buffer;
  readonly size?: number;
  readonly order?: readonly ('COMM' | 'SSND' | 'NAME')[];
}
function aiff(body: Buffer, options: AiffOptions = {}): Buffer {
  const { kind, bits = 16, channels = 1, rate = EXTENDED_RATE, order = ['NAME', 'COMM', 'SSND'] } = options;
  const common = [uint(2, channels), uint(4, SAMPLES.length), uint(2, bits), rate];
  const chunks = {
    NAME: aiffChunk('NAME', text('odd')),
    COMM: aiffChunk('COMM', Buffer.concat(kind === undefined ? common : [...common, text(kind), uint(2, 0)])),
    SSND: aiffChunk('SSND', Buffer.concat([uint(4, 0, 0), body]), options.size ?? body.length + 8),
  };
  const all = Buffer.concat(order.map((id) => chunks[id]));
  return Buffer.concat([text('FORM'), uint(4, all.length + 4), text(kind === undefined ? 'AIFF' : 'AIFC'), all]);
}

interface CafOptions {
  readonly kind?: string;
  readonly flags?: number;
  readonly bits?: number;
  readonly sampleBytes?: number;
  readonly channels?: number;
  readonly rateHz?: number;
  readonly size?: bigint;
}
function caf(body: Buffer, options: CafOptions = {}): Buffer {
  const { kind = 'lpcm', flags = 0, bits = 16, channels = 1, rateHz = 16_000 } = options;
  const rate = Buffer.alloc(8);
  rate.writeDoubleBE(rateHz);
  const size = Buffer.alloc(8);
  size.writeBigInt64BE(options.size ?? BigInt(body.length + 4));
  const description = [
    rate,
    text(kind),
    uint(4, flags, (options.sampleBytes ?? bits / 8) * Math.max(1, channels), 1, channels, bits),
  ];
  return Buffer.concat([
    text('caff'),
    uint(2, 1, 0),
    ...[text('desc'), uint(4, 0, 32), ...description],
    ...[text('free'), uint(4, 0, 5), Buffer.alloc(5)],
    ...[text('data'), size, uint(4, 0), body],
  ]);
}

const FILES: Readonly<Record<string, Buffer>> = {
  AIFF: aiff(bodyOf('s16be')),
  'AIFF written to a pipe': aiff(bodyOf('s16be'), { size: 0 }),
  'AIFF written to a pipe by SoX': aiff(bodyOf('s16be'), { size: 0x7f00_0008 }),
  'AIFF-C, little endian': aiff(bodyOf('s16'), { kind: 'sowt' }),
  'AIFF-C, 24 bits by its kind': aiff(bodyOf('s24be'), { kind: 'in24' }),
  'AIFF-C, 32 bits by its kind': aiff(bodyOf('s32be'), { kind: 'in32' }),
  'AIFF-C, float': aiff(bodyOf('f32be'), { kind: 'fl32', bits: 32 }),
  AU: au(bodyOf('s16be')),
  'AU written to a pipe': au(bodyOf('s16be'), { size: 0xffff_ffff }),
  'AU, float': au(bodyOf('f32be'), { code: 6 }),
  CAF: caf(bodyOf('s16be')),
  'CAF, 24 bits': caf(bodyOf('s24be'), { bits: 24 }),
  'CAF written to a pipe': caf(bodyOf('s16be'), { size: -1n }),
  'CAF written to a pipe by libsndfile': caf(bodyOf('s16be'), { size: 4n }),
  'CAF, little endian': caf(bodyOf('s16'), { flags: 2 }),
  'CAF, float, little endian': caf(bodyOf('f32'), { flags: 3, bits: 32 }),
};

const REFUSED: Readonly<Record<string, readonly [content: Buffer, said: string]>> = {
  'AIFF-C with IMA ADPCM': [aiff(bodyOf('s16be'), { kind: 'ima4' }), 'the codec "ima4"'],
  'CAF with 24 bits in 4 bytes': [caf(bodyOf('s32be'), { bits: 24, sampleBytes: 4 }), '24 bits in 4 bytes'],
  'CAF with ALAC': [caf(bodyOf('s16be'), { kind: 'alac' }), 'ALAC'],
  'AU with G.721': [au(bodyOf('s16be'), { code: 23 }), 'encoding 23'],
  'AIFF without a format before its samples': [aiff(bodyOf('s16be'), { order: ['SSND', 'COMM'] }), 'COMM chunk'],
  'AIFF with 40 bits': [aiff(bodyOf('s16be'), { bits: 40 }), 'PCM of 40 bits'],
  'AIFF with a rate that is no number': [aiff(bodyOf('s16be'), { rate: Buffer.alloc(10, 0xff) }), 'sample rate'],
  'AU of no rate': [au(bodyOf('s16be'), { rateHz: 0 }), 'sample rate 0'],
  'CAF with a rate that is no number': [caf(bodyOf('s16be'), { rateHz: Number.NaN }), 'sample rate NaN'],
  'AU of no channels': [au(bodyOf('s16be'), { channels: 0 }), 'channel count 0'],
  'CAF of no channels': [caf(bodyOf('s16be'), { channels: 0 }), 'channel count 0'],
  'CAF with four billion channels': [caf(bodyOf('s16be'), { channels: 0xffff_ffff, bits: 0 }), 'PCM of 0 bits'],
  'AIFF with 65,535 channels': [aiff(bodyOf('s16be'), { channels: 65_535 }), 'channel count 65535'],
};

const HEADERS: Readonly<Record<string, () => HeaderReader>> = {
  AIFF: readAiffHeader,
  AU: readAuHeader,
  CAF: readCafHeader,
};

describe('Uncompressed files of Apple and Sun', () => {
  for (const [name, content] of Object.entries(FILES)) {
    it(`have exactly their samples, whole and in chunks: ${name}`, async () => {
      for (const given of [content, inParts(content, 7), inParts(content, 1_000)]) {
        const { samples, warnings, track } = await transcribe(given);
        expect([...samples]).to.deep.equal(FLOATS);
        expect(warnings).to.deep.equal([]);
        expect(track).to.deep.equal({ index: 0, codec: 'PCM', language: '' });
      }
    });
  }

  it('of mu-law and A-law have the samples that a WAV of the same bytes has', async () => {
    const body = Buffer.from(Array.from({ length: 512 }, (_, at) => at % 256));
    for (const [kind, tag, code] of [
      ['ulaw', 7, 1],
      ['alaw', 6, 27],
    ] as const) {
      const { samples } = await transcribe(wavFile(body, { tag, bits: 8 }));
      expect(new Set(samples).size).to.be.above(250);
      for (const content of [
        au(body, { code }),
        caf(body, { kind, bits: 8 }),
        aiff(body, { kind, bits: 8 }),
        aiff(body, { kind: kind.toUpperCase() }),
      ])
        expect([...(await transcribe(content)).samples]).to.deep.equal([...samples]);
    }
  });

  for (const [name, [content, said]] of Object.entries(REFUSED)) {
    it(`are refused by what is wrong with them: ${name}`, async () => {
      const error = await refusal(content);
      expect(error.code).to.equal('AUDIO_UNREADABLE');
      expect(error.message).to.contain(said);
    });
  }

  for (const [name, reader] of Object.entries(HEADERS)) {
    const content = FILES[name] as Buffer;

    it(`are read up to their end if truncated, with a warning: ${name}`, async () => {
      const { samples, warnings } = await transcribe(content.subarray(0, content.length - 3_200));
      expect([...samples]).to.deep.equal(FLOATS.slice(0, 1_400));
      expect(warnings).to.deep.equal([`The ${name} is truncated: 0.10 s declared in its header are missing.`]);
    });

    it(`are refused if they end within their header: ${name}`, async () => {
      const headerBytes = content.length - bodyOf('s16be').length;
      const error = await refusal(content.subarray(0, headerBytes - 1));
      expect(error.code).to.equal('AUDIO_UNREADABLE');
      for (let length = 12; length < headerBytes; length++) {
        const decoder = new PcmFileDecoder(name, reader(), undefined);
        expect(await decoder.push(content.subarray(0, length))).to.deep.equal([]);
        expect(decoder.track).to.equal(undefined);
      }
    });

    it(`have a header that is read or refused with any wrong byte: ${name}`, async () => {
      const headerBytes = content.length - bodyOf('s16be').length;
      for (let at = 4; at < headerBytes; at++) {
        for (let value = 0; value < 256; value++) {
          const damaged = Buffer.from(content.subarray(0, headerBytes + 64));
          damaged[at] = value;
          try {
            const [block] = await new PcmFileDecoder(name, reader(), undefined).push(damaged);
            if (block !== undefined) expect(block.sampleRateHz).to.be.within(1_000, 384_000);
          } catch (error) {
            expect(error).to.have.property('code', 'AUDIO_UNREADABLE');
          }
        }
      }
    });
  }

  it('may have tags of any length before their samples', async () => {
    const file = aiff(bodyOf('s16be'), { order: ['COMM', 'SSND'] });
    const tags = aiffChunk('ID3 ', Buffer.alloc(17 * 1_048_576));
    const { samples } = await transcribe(Buffer.concat([file.subarray(0, 12), tags, file.subarray(12)]));
    expect([...samples]).to.deep.equal(FLOATS);
  });

  it('use no more memory than they send before their samples', async () => {
    const before = process.memoryUsage().arrayBuffers;
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield Buffer.concat([text('FORM'), uint(4, 0xffff_ffff), text('AIFF'), text('NAME'), uint(4, 0xffff_fff0)]);
      for (let count = 0; count < 40; count++) yield new Uint8Array(1_048_576);
    }
    const error = await refusal(endless());
    expect(error.message).to.contain('ends before its samples begin');
    expect((process.memoryUsage().arrayBuffers - before) / 1_048_576).to.be.below(96);
  });
});
