import { expect } from 'chai';
import { ClusterResync } from '../../src/media/audio/containers/cluster-resync.js';
import { errorOf } from '../support/rejection.js';
import { expectSame, fromRoot, inParts, refusal, transcribe } from './read-audio.js';
import { wavFile } from './wav-file.js';

const RATE_HZ = 8_000;
const BLOCK_SAMPLES = 800;
const BLOCKS = 10;

/** An element of Matroska with a size of eight bytes; `size` other than that of its body claims it. */
function element(id: string, body: Uint8Array | string, size = body.length): Buffer {
  const claimed = Buffer.alloc(8);
  claimed.writeBigUInt64BE((1n << 56n) | BigInt(size));
  return Buffer.concat([Buffer.from(id, 'hex'), claimed, Buffer.from(body as Uint8Array)]);
}

const number = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const real = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return bytes;
};
/** The samples of a second, other ones in each. */
const second = (index: number): Int16Array =>
  Int16Array.from({ length: RATE_HZ }, (_, at) => (index + 1) * 1_000 + (at % 700));

/** A second of PCM: ten blocks in a cluster. `claimed`: how many bytes more its header claims. */
function cluster(index: number, claimed = 0): Buffer {
  const pcm = Buffer.from(second(index).buffer);
  const blocks = Array.from({ length: BLOCKS }, (_, at) => {
    const head = Buffer.from([0x81, 0, 0, 0x80]);
    head.writeInt16BE(at * 100, 1);
    return element('a3', Buffer.concat([head, pcm.subarray(at * BLOCK_SAMPLES * 2, (at + 1) * BLOCK_SAMPLES * 2)]));
  });
  const body = Buffer.concat([element('e7', number(index * 1_000)), ...blocks]);
  return element('1f43b675', body, body.length + claimed);
}

function head(...encodings: readonly Buffer[]): Buffer {
  return headOf('A_PCM/INT/LIT', ...encodings);
}

/** `own`: further elements of the track. */
function headOf(codec: string, ...own: readonly Buffer[]): Buffer {
  const audio = element(
    'e1',
    Buffer.concat([element('b5', real(RATE_HZ)), element('9f', [1] as never), element('6264', [16] as never)]),
  );
  const track = [
    element('d7', number(1)),
    element('73c5', number(1)),
    element('83', number(2)),
    element('86', codec),
    audio,
    ...own,
  ];
  return Buffer.concat([
    element('1a45dfa3', element('4282', 'matroska')),
    // A segment of unknown size.
    Buffer.from('1853806701ffffffffffffff', 'hex'),
    element('1549a966', element('2ad7b1', number(1_000_000))),
    element('1654ae6b', element('ae', Buffer.concat(track))),
  ]);
}

/** Where what `head` writes into the segment begins. */
const SEGMENT_START = head().indexOf('1549a966', 0, 'hex');

/** The compression of a track's blocks. */
function compression(algorithm: number, ...settings: readonly Buffer[]): Buffer {
  return element(
    '6d80',
    element('6240', element('5034', Buffer.concat([element('4254', number(algorithm)), ...settings]))),
  );
}

/** Reads a file at its own rate, so that samples compare exactly. */
async function read(content: Uint8Array, size?: number) {
  const { samples, warnings } = await transcribe(size === undefined ? content : inParts(content, size));
  return { seconds: samples.length / 16_000, loud: loudSeconds(samples), warnings };
}

/** Whether most of each half second has sound. */
function loudSeconds(samples: Float32Array): string {
  const halves = Array.from({ length: Math.round(samples.length / 8_000) }, (_, half) =>
    samples.subarray(half * 8_000, (half + 1) * 8_000),
  );
  return halves.map((half) => (half.filter((sample) => Math.abs(sample) > 0.02).length > 4_000 ? 'x' : '.')).join('');
}

describe('A Matroska file', () => {
  it('may declare an infinite duration', async () => {
    const scale = element('2ad7b1', number(1_000_000));
    const info = element('1549a966', scale);
    const content = Buffer.concat([head(), cluster(0)]);
    const at = content.indexOf(info);
    const endless = element('1549a966', Buffer.concat([scale, element('4489', real(Number.POSITIVE_INFINITY))]));
    const declared = Buffer.concat([content.subarray(0, at), endless, content.subarray(at + info.length)]);
    expect(await transcribe(declared)).to.deep.equal(await transcribe(content));
  });

  it("with a codec of Windows, as cameras' G.711 has, gives the samples of a WAV with it", async () => {
    const telephone = await Promise.all(
      ['gsm', 'adpcm_ms'].map((name) => fromRoot(`inference/test/audio/cases/telephone_${name}.wav`)),
    );
    const law = Uint8Array.from({ length: RATE_HZ }, (_, at) => (at * 31) % 251);
    const laws = [6, 7].map((tag) => wavFile(law, { tag, bits: 8, rateHz: RATE_HZ }));
    for (const file of [...telephone, ...laws]) {
      const wav = Buffer.from(file);
      const bodyOf = (chunk: string) => {
        const at = wav.indexOf(chunk) + 8;
        return wav.subarray(at, at + wav.readUInt32LE(at - 4));
      };
      const [format, data] = [bodyOf('fmt '), bodyOf('data')];
      const expected = await transcribe(wav);
      const millisecondsPerByte = expected.samples.length / 16 / data.length;
      // A block of the codec, or more that come to some 50 ms.
      const blockBytes = Math.ceil(50 / millisecondsPerByte / format.readUInt16LE(12)) * format.readUInt16LE(12);
      const blocks = Array.from({ length: Math.ceil(data.length / blockBytes) }, (_, index) => {
        const start = Buffer.from([0x81, 0, 0, 0x80]);
        start.writeInt16BE(Math.round(index * blockBytes * millisecondsPerByte), 1);
        return element('a3', Buffer.concat([start, data.subarray(index * blockBytes, (index + 1) * blockBytes)]));
      });
      const content = Buffer.concat([
        headOf('A_MS/ACM', element('63a2', format)),
        element('1f43b675', Buffer.concat([element('e7', number(0)), ...blocks])),
      ]);
      const read = await transcribe(content);
      expect(read.track?.codec).to.equal(expected.track?.codec);
      // A track of Matroska without a language is English.
      expectSame(read, { ...expected, track: read.track });
    }
  });

  it('with another codec of Windows, or without its format, is refused by name', async () => {
    const format = wavFile(new Uint8Array(0), { tag: 69 }).subarray(20, 36);
    for (const own of [[element('63a2', format)], [element('63a2', format.subarray(0, 9))], []]) {
      const error = await refusal(Buffer.concat([headOf('A_MS/ACM', ...own), cluster(0)]));
      expect(error.code).to.equal('AUDIO_UNREADABLE');
      expect(error.message).to.contain('a codec of Windows (A_MS/ACM) is not supported');
    }
  });

  it('is neither cut nor too long if its subtitles end later than its audio', async () => {
    const info = (seconds: number) =>
      element(
        '1549a966',
        Buffer.concat([element('2ad7b1', number(1_000_000)), element('4489', real(seconds * 1_000))]),
      );
    const subtitles = element(
      'ae',
      Buffer.concat([element('d7', number(2)), element('83', number(17)), element('86', 'S_TEXT/UTF8')]),
    );
    const start = head();
    const tracks = start.subarray(start.indexOf('1654ae6b', 0, 'hex') + 12);
    const before = start.subarray(0, SEGMENT_START);
    const read = (...entries: readonly Buffer[]) =>
      transcribe(Buffer.concat([before, info(3_000), element('1654ae6b', Buffer.concat(entries)), cluster(0)]), {
        maxSeconds: 60,
      });
    expect((await read(tracks, subtitles)).warnings).to.deep.equal([]);
    expect((await errorOf(read(tracks))).code).to.equal('AUDIO_TOO_LONG');
  });

  it('that is damaged in a cluster loses no other cluster, and keeps its times', async () => {
    const whole = [0, 1, 2, 3, 4].map((index) => cluster(index));
    const noise = Buffer.from(whole[1] as Buffer);
    for (let at = 8_000; at < 8_400; at++) noise[at] = (at * 7_919) & 0xff;
    const short = Buffer.concat([(whole[1] as Buffer).subarray(0, 8_100), (whole[1] as Buffer).subarray(8_700)]);
    for (const damaged of [noise, short]) {
      const content = Buffer.concat([head(), whole[0] as Buffer, damaged, ...whole.slice(2)]);
      for (const size of [undefined, 4_096, 997]) {
        const { seconds, loud, warnings } = await read(content, size);
        expect(seconds, `${damaged.length} in pieces of ${size}: ${loud} ${warnings}`).to.be.closeTo(5, 0.01);
        expect(loud).to.equal('xxx.xxxxxx');
        expect(warnings.join()).to.match(/\d+ bytes of the WebM or Matroska file are damaged and were skipped/);
      }
    }
  });

  it('that follows another is read too, whether the sizes of both are known', async () => {
    for (const known of [true, false]) {
      const part = (...indexes: readonly number[]) => {
        const [start, clusters] = [head(), Buffer.concat(indexes.map((index) => cluster(index)))];
        const segmentSize = start.length + clusters.length - SEGMENT_START;
        if (known) start.writeBigUInt64BE((1n << 56n) | BigInt(segmentSize), SEGMENT_START - 8);
        return Buffer.concat([start, clusters]);
      };
      const content = Buffer.concat([part(0, 1, 2), part(0, 1)]);
      for (const size of [undefined, 997, 13]) {
        const { seconds, loud, warnings } = await read(content, size);
        expect(seconds, `${known} ${size} ${warnings}`).to.be.closeTo(5, 0.01);
        expect(loud).to.equal('xxxxxxxxxx');
        expect(warnings).to.deep.equal(["The audio's clock jumps back by 3 s at 3.00 s; the gap was ignored."]);
      }
    }
  });

  it('whose blocks lack a header has it in front of each of their frames', async () => {
    const pcm = Buffer.from(Int16Array.from({ length: RATE_HZ / 2 }, () => 0x2211).buffer);
    const header = pcm.subarray(0, 2);
    const rest = pcm.subarray(0, BLOCK_SAMPLES - 2);
    const encoding = compression(3, element('4255', header));
    // Two frames, of which the first has 798 bytes (Xiph lacing).
    const laced = Array.from({ length: 5 }, (_, at) => {
      const start = Buffer.from([0x81, 0, 0, 0x82, 1, 255, 255, 255, 33]);
      start.writeInt16BE(at * 100, 1);
      return element('a3', Buffer.concat([start, rest, rest]));
    });
    const single = element('a3', Buffer.concat([Buffer.from([0x81, 0, 200, 0x80]), rest]));
    for (const [blocks, seconds] of [
      [laced, 0.5],
      [[single], 0.25],
    ] as const) {
      const content = Buffer.concat([
        head(encoding),
        element('1f43b675', Buffer.concat([element('e7', number(0)), ...blocks])),
      ]);
      const { samples, warnings } = await transcribe(content);
      expect(samples.length / 16_000).to.be.closeTo(seconds, 0.01);
      const loud = samples.filter((sample) => Math.abs(sample - 0x2211 / 32_768) < 0.01).length / 16_000;
      expect(loud).to.be.closeTo(blocks === laced ? 0.5 : 0.05, 0.01);
      expect(warnings).to.deep.equal([]);
    }
  });

  it('whose blocks have several frames of different lengths, without a duration, has them one after another', async () => {
    const samples = Int16Array.from({ length: RATE_HZ / 2 }, (_, at) => 1_000 + at);
    const pcm = Buffer.from(samples.buffer);
    // Three frames (Xiph lacing) of 20, 20 and 460 ms, then a pause of 2 s.
    const blocks = [0, 2_500, 3_000].map((milliseconds) => {
      const start = Buffer.from([0x81, 0, 0, 0x82, 2, 255, 65, 255, 65]);
      start.writeInt16BE(milliseconds, 1);
      return element('a3', Buffer.concat([start, pcm]));
    });
    for (const size of [undefined, 997]) {
      const content = Buffer.concat([
        head(),
        element('1f43b675', Buffer.concat([element('e7', number(0)), ...blocks])),
      ]);
      const { seconds, loud, warnings } = await read(content, size);
      expect(loud).to.equal('x....xx');
      expect(seconds).to.be.closeTo(3.5, 0.01);
      expect(warnings).to.deep.equal([]);
    }
  });

  it('with compressed or encrypted blocks is refused by their kind', async () => {
    const encryption = element('6d80', element('6240', element('5035', element('47e1', number(5)))));
    for (const [encoding, said] of [
      [compression(0), 'audio compressed by zlib'],
      [element('6d80', element('6240', element('5034', ''))), 'audio compressed by zlib'],
      [compression(2), 'audio compressed by lzo1x'],
      [compression(200), 'audio compressed by an unknown method'],
      [encryption, 'encrypted audio'],
    ] as const) {
      const error = await refusal(Buffer.concat([head(encoding), cluster(0)]));
      expect(error.code).to.equal('AUDIO_UNREADABLE');
      expect(error.message).to.contain(`has only unsupported audio: ${said}.`);
    }
  });

  it('whose frames share a header of any length, which each gets a copy of, is refused', async () => {
    const encoding = compression(3, element('4255', Buffer.alloc(2_000)));
    const error = await refusal(Buffer.concat([head(encoding), cluster(0)]));
    expect(error.code).to.equal('AUDIO_UNREADABLE');
    expect(error.message).to.contain('a header of 2000 bytes, expected at most 1024');
  });

  it('with an unknown codec is refused by the name that the file gives it, whatever that is', async () => {
    const known = head().toString('latin1');
    for (const name of ['constructor', 'toString', 'A_NOVELTY']) {
      const unknown = Buffer.from(known.replace('A_PCM/INT/LIT', name.padEnd(13, '\0')), 'latin1');
      const error = await refusal(Buffer.concat([unknown, cluster(0)]));
      expect(error.code).to.equal('AUDIO_UNREADABLE');
      expect(error.message).to.contain(`the codec "${name}" is not supported`);
    }
  });

  it('passes unchanged if it is not damaged, in pieces of any size', () => {
    const content = Buffer.concat([head(), cluster(0), cluster(1, 500), element('1c53bb6b', 'cues'), cluster(2)]);
    for (const size of [content.length, 1_000, 13, 1]) {
      const resync = new ClusterResync();
      const passed: Uint8Array[] = [];
      for (let at = 0; at < content.length; at += size) passed.push(resync.push(content.subarray(at, at + size)));
      passed.push(resync.end());
      expect(Buffer.concat(passed).equals(content), `${size}`).to.equal(true);
      expect(resync.droppedBytes).to.equal(0);
    }
  });

  it('keeps its length where damage is replaced, in pieces of any size', () => {
    const garbage = Buffer.alloc(50, 0x11);
    const content = Buffer.concat([head(), cluster(0), garbage, cluster(1), garbage]);
    for (const size of [content.length, 1_000, 13, 1]) {
      const resync = new ClusterResync();
      const passed: Uint8Array[] = [];
      for (let at = 0; at < content.length; at += size) passed.push(resync.push(content.subarray(at, at + size)));
      passed.push(resync.end());
      const all = Buffer.concat(passed);
      expect(all.length).to.equal(content.length);
      expect(all.includes(cluster(1))).to.equal(true);
      expect(all.includes(garbage)).to.equal(false);
      expect(resync.droppedBytes).to.be.closeTo(100, 1);
    }
  });
});
