import { expect } from 'chai';
import { alike, fixture, inParts, refusal, transcribe } from './read-audio.js';
import { chunk, pcm16, tone, type WavOptions, wavFile } from './wav-file.js';

const speechRate = tone(440, 16_000, 0.5);

/** Writes samples with a DataView method. */
function written(bytes: number, write: (view: DataView, offset: number, sample: number) => void): Uint8Array {
  const view = new DataView(new ArrayBuffer(speechRate.length * bytes));
  speechRate.forEach((sample, index) => {
    write(view, index * bytes, sample);
  });
  return new Uint8Array(view.buffer);
}

/** G.711 by its definition: the code whose expansion is nearest. The tables are those of the standard's decoders. */
function nearestCode(expand: (code: number) => number, sample: number): number {
  let best = 0;
  for (let code = 1; code < 256; code++) {
    if (Math.abs(expand(code) - sample * 32_768) < Math.abs(expand(best) - sample * 32_768)) best = code;
  }
  return best;
}

function aLaw(code: number): number {
  const bits = code ^ 0x55;
  const segment = (bits >> 4) & 7;
  const step = bits & 15;
  const size = segment === 0 ? 2 * step + 1 : (2 * step + 33) * 2 ** (segment - 1);
  return (bits & 128 ? 8 : -8) * size;
}

function muLaw(code: number): number {
  const bits = 255 - code;
  const size = (2 * (bits & 15) + 33) * 2 ** ((bits >> 4) & 7) - 33;
  return (bits & 128 ? -4 : 4) * size;
}

describe('WAV', () => {
  const kinds: readonly [name: string, options: WavOptions, body: () => Uint8Array, tolerance: number][] = [
    ['8-bit', { bits: 8 }, () => written(1, (v, o, s) => v.setUint8(o, Math.round(s * 127) + 128)), 0.02],
    ['16-bit', { bits: 16 }, () => pcm16(speechRate), 1e-4],
    [
      '24-bit',
      { bits: 24 },
      () =>
        written(3, (v, o, s) => {
          const value = Math.round(s * 8_388_607);
          v.setUint16(o, value & 0xffff, true);
          v.setInt8(o + 2, value >> 16);
        }),
      1e-6,
    ],
    [
      '24-bit in four bytes',
      { bits: 24, frameBytes: 4 },
      () => written(4, (v, o, s) => v.setInt32(o, Math.round(s * 8_388_607) * 256, true)),
      1e-6,
    ],
    ['32-bit', { bits: 32 }, () => written(4, (v, o, s) => v.setInt32(o, Math.round(s * 2_147_483_647), true)), 1e-6],
    ['32-bit float', { bits: 32, tag: 3 }, () => written(4, (v, o, s) => v.setFloat32(o, s, true)), 0],
    ['64-bit float', { bits: 64, tag: 3 }, () => written(8, (v, o, s) => v.setFloat64(o, s, true)), 0],
    ['A-law', { bits: 8, tag: 6 }, () => written(1, (v, o, s) => v.setUint8(o, nearestCode(aLaw, s))), 0.02],
    ['mu-law', { bits: 8, tag: 7 }, () => written(1, (v, o, s) => v.setUint8(o, nearestCode(muLaw, s))), 0.02],
    ['extensible 16-bit', { bits: 16, extensible: true }, () => pcm16(speechRate), 1e-4],
    [
      'extensible float',
      { bits: 32, tag: 3, extensible: true },
      () => written(4, (v, o, s) => v.setFloat32(o, s, true)),
      0,
    ],
  ];
  for (const [name, options, body, tolerance] of kinds) {
    it(`of ${name} samples is decoded exactly`, async () => {
      const { samples, warnings } = await transcribe(wavFile(body(), options));
      expect(samples.length).to.equal(speechRate.length);
      const worst = samples.reduce(
        (most, value, index) => Math.max(most, Math.abs(value - (speechRate[index] ?? 9))),
        0,
      );
      expect(worst).to.be.at.most(tolerance);
      expect(warnings).to.deep.equal([]);
    });
  }

  for (const rateHz of [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000]) {
    for (const channels of [1, 2]) {
      it(`of ${rateHz} Hz and ${channels} channels is resampled without shift or loss`, async () => {
        const content = wavFile(pcm16(tone(440, rateHz, 1), channels), { rateHz, channels });
        const { samples } = await transcribe(content);
        expect(samples.length).to.equal(16_000);
        const middle = alike(samples.subarray(800, 15_200), tone(440, 16_000, 1).subarray(800, 15_200), 4);
        expect(middle.shift).to.equal(0);
        expect(middle.value).to.be.above(0.9999);
      });
    }
  }

  it('passes 7 kHz and blocks 9 kHz', async () => {
    const level = async (hertz: number) => {
      const { samples } = await transcribe(wavFile(pcm16(tone(hertz, 48_000, 1)), { rateHz: 48_000 }));
      return Math.hypot(...samples.subarray(1_000, 15_000)) / Math.sqrt(14_000);
    };
    expect(await level(7_000)).to.be.closeTo(0.5 / Math.SQRT2, 1e-3);
    expect(await level(9_000)).to.be.below(2e-5);
  });

  it('is mixed to the mean of its channels', async () => {
    const stereo = new Uint8Array(new Int16Array([16_384, 0, -16_384, 16_384, 8_192, 8_192]).buffer);
    const { samples } = await transcribe(wavFile(stereo, { channels: 2 }));
    expect([...samples]).to.deep.equal([0.25, 0, 0.25]);
  });

  it('skips unknown chunks, also of odd length', async () => {
    const between = Buffer.concat([chunk('LIST', new Uint8Array(33)), chunk('junk', new Uint8Array(70_000))]);
    const { samples } = await transcribe(wavFile(pcm16(speechRate), { between }));
    expect(samples.length).to.equal(speechRate.length);
  });

  it('stops at the end of the data chunk', async () => {
    const content = Buffer.concat([wavFile(pcm16(speechRate)), chunk('LIST', new Uint8Array(2_000))]);
    expect((await transcribe(content)).samples.length).to.equal(speechRate.length);
  });

  for (const [name, options] of [
    ['0', { dataSize: 0, riffSize: 0 }],
    ['0 with the header counted', { dataSize: 0, riffSize: 36 }],
    ['0xFFFFFFFF', { dataSize: 0xffff_ffff, riffSize: 0xffff_ffff }],
    ['0x7FFFF000', { dataSize: 0x7fff_f000, riffSize: 0x7fff_f024 }],
    ['RF64 without ds64', { dataSize: 0xffff_ffff, riffSize: 0xffff_ffff, magic: 'RF64' }],
  ] as const) {
    it(`of a stream with size ${name} is read to its end, without a warning`, async () => {
      const { samples, warnings } = await transcribe(inParts(wavFile(pcm16(speechRate), options), 999));
      expect(samples.length).to.equal(speechRate.length);
      expect(warnings).to.deep.equal([]);
    });
  }

  it('of RF64 takes its size from ds64', async () => {
    const ds64 = new DataView(new ArrayBuffer(28));
    ds64.setUint32(8, 2_000, true);
    const content = wavFile(pcm16(speechRate), {
      magic: 'RF64',
      dataSize: 0xffff_ffff,
      riffSize: 0xffff_ffff,
      between: chunk('ds64', new Uint8Array(ds64.buffer)),
    });
    expect((await transcribe(content)).samples.length).to.equal(1_000);
  });

  it('may count the byte that makes its data even, as FFmpeg does in RF64', async () => {
    const { samples, warnings } = await transcribe(wavFile(new Uint8Array(9), { bits: 24, dataSize: 10 }));
    expect(samples.length).to.equal(3);
    expect(warnings).to.deep.equal([]);
  });

  it('is read up to its end if truncated, with a warning', async () => {
    const content = wavFile(pcm16(speechRate));
    const { samples, warnings } = await transcribe(content.subarray(0, content.length - 8_001));
    expect(samples.length).to.equal(speechRate.length - 4_001);
    expect(warnings).to.have.length(1);
    expect(warnings[0]).to.contain('0.25 s declared in its header are missing');
  });

  it('with a wrong frame size is read by its other fields, with a warning', async () => {
    const { samples, warnings } = await transcribe(wavFile(pcm16(speechRate), { frameBytes: 7 }));
    expect(samples.length).to.equal(speechRate.length);
    expect(warnings[0]).to.contain('7 bytes per frame');
  });

  it('converts NaN to silence and clips samples out of range', async () => {
    const floats = new Float32Array([Number.NaN, Number.POSITIVE_INFINITY, -1e30, 0.25]);
    const { samples } = await transcribe(wavFile(new Uint8Array(floats.buffer), { bits: 32, tag: 3 }));
    expect([...samples]).to.deep.equal([0, 1, -1, 0.25]);
  });

  it('may contain MP3, whose bytes tell no length in advance', async () => {
    const mp3 = await fixture('speech-16k-mono.mp3');
    const { samples, warnings, track } = await transcribe(wavFile(mp3, { tag: 85, bits: 0, frameBytes: 1 }));
    expect(alike((await transcribe(mp3)).samples, samples, 2_000).value).to.be.above(0.999);
    expect(warnings).to.deep.equal([]);
    expect(track).to.include({ codec: 'MP3' });
  });

  for (const [name, options, said] of [
    ['no channels', { channels: 0 }, 'channel count 0'],
    ['65,535 channels', { channels: 65_535, frameBytes: 2 }, 'channel count 65535'],
    ['a rate of 0', { rateHz: 0 }, 'sample rate 0 Hz'],
    ['a rate of 4 GHz', { rateHz: 4_000_000_000 }, 'sample rate 4000000000 Hz'],
    ['Windows Media Audio', { tag: 353, bits: 16 }, /Windows Media Audio.*`ffmpeg -i IN/],
    ['E-AC-3, which has no number of its own', { tag: 34_735, bits: 16 }, /encoding 34735.*`ffmpeg -i IN/],
    ['float of 16 bits', { tag: 3, bits: 16 }, /encoding 3.*`ffmpeg -i IN/],
  ] as const) {
    it(`is rejected with ${name}`, async () => {
      const error = await refusal(wavFile(pcm16(speechRate), options));
      expect(error.code).to.equal('AUDIO_UNREADABLE');
      expect(error.message).to.match(new RegExp(said));
    });
  }

  it('is rejected without samples', async () => {
    expect((await refusal(wavFile(new Uint8Array(0)))).code).to.equal('AUDIO_UNREADABLE');
    const ended = Buffer.concat([wavFile(new Uint8Array(0)), chunk('LIST', new Uint8Array(20))]);
    new DataView(ended.buffer, ended.byteOffset).setUint32(4, ended.length - 8, true);
    expect((await refusal(ended)).code).to.equal('AUDIO_UNREADABLE');
  });

  it('is rejected without a format before its samples', async () => {
    const content = Buffer.concat([Buffer.from('RIFF\x20\x00\x00\x00WAVE'), chunk('data', pcm16(speechRate))]);
    expect((await refusal(content)).message).to.contain("no 'fmt' chunk");
  });
});

describe('Samples without a container', () => {
  it('are read in the format of the caller', async () => {
    const format = { encoding: 'pcm-s16le', sampleRateHz: 44_100, channelCount: 2 } as const;
    const { samples } = await transcribe(pcm16(tone(440, 44_100, 1), 2), { raw: format });
    expect(alike(samples, tone(440, 16_000, 1), 2).value).to.be.above(0.999);
  });

  it('may be floats, in chunks of any size', async () => {
    const raw = { encoding: 'pcm-f32le', sampleRateHz: 16_000, channelCount: 1 } as const;
    const { samples } = await transcribe(inParts(new Uint8Array(speechRate.buffer), 3), { raw });
    expect([...samples]).to.deep.equal([...speechRate]);
  });

  it('with an incomplete last frame are read without it, with a warning', async () => {
    const raw = { encoding: 'pcm-s16le', sampleRateHz: 16_000, channelCount: 2 } as const;
    const { samples, warnings } = await transcribe(new Uint8Array(4_003), { raw });
    expect(samples.length).to.equal(1_000);
    expect(warnings).to.have.length(1);
  });

  for (const [field, raw] of [
    ['raw.sample_rate_hz', { encoding: 'pcm-s16le', sampleRateHz: 999, channelCount: 1 }],
    ['raw.sample_rate_hz', { encoding: 'pcm-s16le', sampleRateHz: Number.NaN, channelCount: 1 }],
    ['raw.channel_count', { encoding: 'pcm-s16le', sampleRateHz: 16_000, channelCount: 33 }],
    ['raw.encoding', { encoding: 'mp3' as 'pcm-s16le', sampleRateHz: 16_000, channelCount: 1 }],
  ] as const) {
    it(`are rejected with ${field} out of range (${JSON.stringify(raw)})`, async () => {
      const error = await refusal(new Uint8Array(100), { raw });
      expect(error.code).to.equal('INVALID_ARGUMENT');
      expect(error.field).to.equal(field);
    });
  }
});
