import { expect } from 'chai';
import { InferenceError } from '../../src/errors.js';
import { Random } from '../support/random.js';
import { box, mp4File } from './mp4-file.js';
import {
  alike,
  apeTag,
  caseOf,
  expectSame,
  fixture,
  fromRoot,
  inParts,
  open,
  refusal,
  transcribe,
} from './read-audio.js';

const MIB = 1_048_576;

/** A chunk with unique samples. */
function chunk(index: number, samples = 8_000): Int16Array {
  return Int16Array.from({ length: samples }, (_, at) => ((index * 131 + at) % 2_000) - 1_000);
}

async function* streamed(content: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (const part of content) yield part;
}

const whole = (content: Iterable<Uint8Array>): Uint8Array => Buffer.concat([...content]);
const asFloats = (chunks: readonly Int16Array[]): number[] =>
  chunks.flatMap((each) => [...each].map((sample) => sample / 32_768));

describe('A video', () => {
  it('of a quarter of a gigabyte is read completely, with bounded memory', async () => {
    const chunks = Array.from({ length: 60 }, (_, index) => chunk(index));
    let highestBytes = 0;
    const before = process.memoryUsage().rss;
    async function* watched(): AsyncGenerator<Uint8Array> {
      for (const part of mp4File({ chunks, betweenBytes: 4.5 * MIB })) {
        highestBytes = Math.max(highestBytes, process.memoryUsage().rss - before);
        yield part;
      }
    }
    const source = await open(watched());
    let at = 0;
    for (let block = await source.read(48_000); block !== null; block = await source.read(48_000)) {
      for (const sample of block) {
        const wanted = (((Math.floor(at / 8_000) * 131 + (at % 8_000)) % 2_000) - 1_000) / 32_768;
        if (sample !== wanted) expect.fail(`sample ${at} is ${sample}, not ${wanted}`);
        at += 1;
      }
    }
    await source.close();
    expect(at).to.equal(60 * 8_000);
    expect(source.warnings).to.deep.equal([]);
    expect(highestBytes / MIB).to.be.below(150);
  });

  it('is read to its end if the media of a fragment is larger than what is retained', async () => {
    const bytes = Buffer.from(await caseOf('fragmented_video_16k_pieces.mp4'));
    const media = bytes.indexOf('mdat') - 4;
    const between = 17 * MIB;
    const large = Buffer.concat([bytes.subarray(0, media + 8), Buffer.alloc(between), bytes.subarray(media + 8)]);
    large.writeUInt32BE(bytes.readUInt32BE(media) + between, media);
    // Each run begins with its position.
    for (let run = bytes.indexOf('trun'); run >= 0; run = bytes.indexOf('trun', run + 4))
      large.writeUInt32BE(bytes.readUInt32BE(run + 12) + between, run + 12);
    expectSame(await transcribe(large), await transcribe(bytes));
  });

  it('with its index at the end is read, whole and in chunks', async () => {
    const chunks = [chunk(1), chunk(2), chunk(3)];
    const content = whole(mp4File({ chunks, betweenBytes: 4 * MIB, indexLast: true }));
    for (const given of [content, inParts(content, 65_536)]) {
      const { samples, warnings } = await transcribe(given);
      expect([...samples]).to.deep.equal(asFloats(chunks));
      expect(warnings).to.deep.equal([]);
    }
  });

  it('with its index at the end, beyond the buffer limit, is rejected with the remedy before all of it is received', async () => {
    let came = 0;
    async function* counted(): AsyncGenerator<Uint8Array> {
      for (const part of mp4File({ chunks: [chunk(1)], betweenBytes: 400 * MIB, indexLast: true })) {
        came += part.length;
        yield part;
      }
    }
    const error = await refusal(counted());
    expect(error.code).to.equal('AUDIO_UNREADABLE');
    expect(error.message)
      .to.contain('256 MiB')
      .and.to.contain('-movflags +faststart')
      .and.to.contain('heimdex transcribe');
    expect(came).to.be.below(4 * MIB);
  });

  for (const size of [64, 0xffff_fff0, 0x7fff_ffff]) {
    it(`whose index declares ${size} bytes uses no more memory than it sends`, async () => {
      const before = process.memoryUsage().arrayBuffers;
      const content = mp4File({ chunks: [chunk(1)], betweenBytes: 0, moovSize: size });
      const error = await refusal(streamed(content));
      expect(error.code).to.equal('AUDIO_UNREADABLE');
      expect(error.message).not.to.match(/undefined|Cannot read|internal error/);
      expect((process.memoryUsage().arrayBuffers - before) / MIB).to.be.below(64);
    });
  }

  for (const [name, content] of [
    [
      'a box of no size',
      Buffer.concat([box('ftyp', Buffer.from('isom0000')), Buffer.from('\x00\x00\x00\x00moov\x00\x00\x00\x00')]),
    ],
    [
      'a box smaller than its header',
      Buffer.concat([box('ftyp', Buffer.from('isom0000')), Buffer.from('\x00\x00\x00\x04moov')]),
    ],
    ['an empty index', Buffer.concat([box('ftyp', Buffer.from('isom0000')), box('moov')])],
    ['fragments without an index', Buffer.concat([box('styp', Buffer.from('msdh0000')), box('moof', box('mfhd'))])],
  ] as const) {
    it(`with ${name} is rejected with a message of the server`, async () => {
      for (const given of [content, inParts(content, 5)]) {
        const error = await refusal(given);
        expect(error).to.be.instanceOf(InferenceError);
        expect(error.code).to.equal('AUDIO_UNREADABLE');
        expect(error.message).to.match(/^The MP4 file /);
        expect(error.message).not.to.match(/undefined|Cannot read|internal error|InputOptions/);
      }
    });
  }

  it('is edited as its edit list specifies', async () => {
    const chunks = [chunk(1, 16_000), chunk(2, 16_000), chunk(3, 16_000)];
    const edits = [
      { ms: 500, mediaSample: -1 },
      { ms: 750, mediaSample: 4_000 },
      { ms: 1000, mediaSample: 24_000 },
    ];
    const { samples, warnings } = await transcribe(whole(mp4File({ chunks, betweenBytes: 100, edits })));
    const media = asFloats(chunks);
    const wanted = [...new Array(8_000).fill(0), ...media.slice(4_000, 16_000), ...media.slice(24_000, 40_000)];
    expect([...samples]).to.deep.equal(wanted);
    expect(warnings).to.deep.equal([]);
  });

  it('of 96 kHz, which the field of 16 bits cannot hold, is read at the rate of its times', async () => {
    const samples = chunk(1, 96_000);
    const { samples: read } = await transcribe(
      whole(mp4File({ chunks: [samples], betweenBytes: 100, rateHz: 96_000 })),
    );
    const raw = { encoding: 'pcm-s16le', sampleRateHz: 96_000, channelCount: 1 } as const;
    const { samples: wanted } = await transcribe(new Uint8Array(samples.buffer), { raw });
    expect([...read]).to.deep.equal([...wanted]);
  });

  it('of PCM of which each sample in the index is a packet, as GStreamer writes it, is read completely', async () => {
    const chunks = [chunk(1, 289), chunk(2, 320), chunk(3, 320)];
    const { samples, warnings } = await transcribe(whole(mp4File({ chunks, betweenBytes: 100, packets: true })));
    expect([...samples]).to.deep.equal([...asFloats(chunks)]);
    expect(warnings).to.deep.equal([]);
  });

  it('whose edit list goes back is read once, with a warning', async () => {
    const edits = [
      { ms: 1000, mediaSample: 0 },
      { ms: 1000, mediaSample: 0 },
    ];
    const { samples, warnings } = await transcribe(
      whole(mp4File({ chunks: [chunk(1, 16_000)], betweenBytes: 0, edits })),
    );
    expect([...samples]).to.deep.equal(asFloats([chunk(1, 16_000)]));
    expect(warnings[0]).to.contain('edit list');
  });

  it('without its end reports how much is missing', async () => {
    const content = whole(
      mp4File({ chunks: [chunk(1, 16_000), chunk(2, 16_000), chunk(3, 16_000)], betweenBytes: 1_000 }),
    );
    const { samples, warnings } = await transcribe(content.subarray(0, content.length - 33_000));
    expect(samples.length).to.equal(32_000);
    expect(warnings).to.have.length(1);
    expect(warnings[0]).to.contain('1.00 s').and.to.contain('are missing');
  });
});

describe('A damaged video', () => {
  const VIDEOS = [
    'fragmented_video_16k_pieces.mp4',
    'quicktime_pcm.mov',
    'video_vp8_opus.webm',
    'mediarecorder_live_opus.webm',
    'video_h264_aac.mkv',
    'video_h264_aac.mpegts',
    'adts.aac',
  ];

  for (const name of VIDEOS) {
    it(`is read up to its end if truncated, with a warning: ${name}`, async () => {
      const bytes = await caseOf(name);
      const whole = await transcribe(bytes);
      const { samples, warnings } = await transcribe(
        inParts(bytes.subarray(0, Math.floor(bytes.length * 0.7) + 1), 4_096),
      ).catch((error: InferenceError) => {
        // The QuickTime file has its index at the end.
        expect(error.message).to.contain('moov');
        return { samples: whole.samples.subarray(0, 24_000), warnings: ['refused'] };
      });
      expect(samples.length / whole.samples.length).to.be.within(0.4, 0.95);
      // A decoder may also report the truncated packet.
      expect(warnings.length).to.be.within(1, 2);
    });

    it(`does not fail unexpectedly with any wrong bits: ${name}`, async () => {
      const bytes = await caseOf(name);
      for (const seed of [1, 2]) {
        const random = new Random(seed);
        const damaged = bytes.slice();
        const view = new DataView(damaged.buffer);
        for (let count = 0; count < 6; count++) damaged[random.below(bytes.length)] = random.below(256);
        view.setUint32(random.below(1_000), [0, 1, 0x7fff_ffff, 0xffff_ffff][random.below(4)] ?? 0);
        const result = await transcribe(damaged, { maxSeconds: 60 }).catch((error: InferenceError) => error);
        if ('code' in result) {
          expect(result.code).to.be.oneOf(['AUDIO_UNREADABLE', 'AUDIO_TOO_LONG']);
          expect(result.message).not.to.match(/undefined|Cannot read|Assertion|internal error|InputOptions/);
        } else expect(result.samples.every((sample) => sample >= -1 && sample <= 1)).to.equal(true);
      }
    });
  }
});

describe('A stream of frames', () => {
  for (const name of ['video_h264_aac.mpegts', 'adts.aac']) {
    it(`is read after damage: ${name}`, async () => {
      const bytes = await caseOf(name);
      const whole = await transcribe(bytes);
      const damaged = Buffer.concat([bytes.subarray(0, 11_000), new Uint8Array(333), bytes.subarray(11_000)]);
      for (const given of [damaged, inParts(damaged, 1_000)]) {
        const { samples, warnings } = await transcribe(given);
        expect(samples.length / whole.samples.length).to.be.within(0.9, 1.01);
        // The end is unchanged.
        expect(alike(whole.samples.subarray(-16_000), samples.subarray(-16_000), 0).value).to.be.above(0.99);
        expect(warnings.join(' ')).to.contain('skipped');
      }
    });
  }

  it('of AAC may have tags around it, and between concatenated segments', async () => {
    const bytes = await caseOf('adts.aac');
    const before = Buffer.concat([Buffer.from('ID3\x04\x00\x00\x00\x00\x07\x68', 'latin1'), new Uint8Array(1_000)]);
    const after = Buffer.concat([apeTag(100_000), Buffer.from('TAG'), new Uint8Array(125)]);
    const { samples, warnings } = await transcribe(inParts(Buffer.concat([before, bytes, before, bytes, after]), 777));
    expect(samples.length).to.equal(2 * 49_152);
    expect(warnings).to.deep.equal([]);
  });
});

describe('Concatenated files', () => {
  it('of FLAC are decoded sequentially', async () => {
    const one = await fromRoot('demo/samples/speech/party.flac');
    const other = await fromRoot('demo/samples/speech/models.flac');
    const { samples, warnings } = await transcribe(inParts(Buffer.concat([one, other]), 777));
    const [first, second] = [await transcribe(one), await transcribe(other)];
    expect(samples.length).to.equal(first.samples.length + second.samples.length);
    expect([...samples.subarray(first.samples.length)]).to.deep.equal([...second.samples]);
    expect(warnings).to.deep.equal([]);
  });

  it('of Ogg with different codecs and rates are decoded sequentially', async () => {
    const names = ['speech-48k-stereo.opus', 'speech-8k-mono.vorbis.ogg', 'speech-48k-mono.flac.ogg'];
    const parts = await Promise.all(names.map((name) => fixture(name)));
    const { samples, warnings } = await transcribe(inParts(Buffer.concat(parts), 777));
    expect(samples.length).to.be.closeTo(3 * 32_000, 4);
    expect(warnings).to.deep.equal([]);
  });

  it('of AAC with different rates are decoded sequentially', async () => {
    const names = ['adts.aac', 'aac_lc_then_he.aac', 'adts.aac'];
    const parts = await Promise.all(names.map((name) => caseOf(name)));
    const { samples, warnings } = await transcribe(inParts(Buffer.concat(parts), 777));
    expect(samples.length / 16_000).to.be.closeTo(3.072 + 6.223 + 3.072, 0.001);
    const again = alike(samples.subarray(0, 49_152), samples.subarray(-49_152), 16);
    expect(again.value).to.be.above(0.99);
    expect(again.shift).to.equal(0);
    expect(warnings).to.deep.equal([]);
  });
});
