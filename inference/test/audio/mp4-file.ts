/** Creates MP4 content for the tests: one track of 16-bit PCM, mono, with arbitrary data between its chunks. */

export interface Mp4Options {
  /** Unrelated bytes before each chunk, such as video. */
  readonly betweenBytes: number;
  /** Samples of each chunk. */
  readonly chunks: readonly Int16Array[];
  /** Whether the index is at the end, as written by cameras. */
  readonly indexLast?: boolean;
  /** Entries of an edit list: duration in ms (-1 for a pause: `mediaSample` -1), and start in the media. */
  readonly edits?: readonly { readonly ms: number; readonly mediaSample: number }[];
  /** Default: 16 kHz. From 65,536 Hz, the field of the sample entry is 0, as ffmpeg and mediabunny write it. */
  readonly rateHz?: number;
  /** Whether each chunk is listed as one sample, as GStreamer lists packets of PCM. */
  readonly packets?: boolean;
  /** Added to the times of all samples, in samples. */
  readonly compositionOffset?: number;
  /** Declared size of the first sample, instead of the true one. */
  readonly moovSize?: number;
}

const DEFAULT_RATE_HZ = 16_000;
const ENTRY_RATE_LIMIT_HZ = 65_536;

export function box(type: string, ...parts: readonly Uint8Array[]): Uint8Array {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + body.length);
  head.write(type, 4, 'latin1');
  return Buffer.concat([head, body]);
}

const words = (...values: readonly number[]): Uint8Array => {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, 4 * index);
  return bytes;
};
const halves = (...values: readonly number[]): Uint8Array => {
  const bytes = Buffer.alloc(2 * values.length);
  for (const [index, value] of values.entries()) bytes.writeUInt16BE(value, 2 * index);
  return bytes;
};

/** Yields the content in parts of bounded size: a video of gigabytes is never in memory. */
export function* mp4File(options: Mp4Options): Generator<Uint8Array, void, void> {
  const { chunks, betweenBytes, indexLast = false } = options;
  const ftyp = box('ftyp', Buffer.from('qt  '), words(0), Buffer.from('qt  '));
  const mediaBytes = chunks.reduce((sum, chunk) => sum + betweenBytes + 2 * chunk.length, 0);
  const indexBytes = moov(
    options,
    chunks.map(() => 0),
  ).length;
  const large = mediaBytes + 8 > 0xffff_ffff;
  const mdatHeader = large
    ? Buffer.concat([words(1), Buffer.from('mdat'), words(Math.floor((mediaBytes + 16) / 2 ** 32), mediaBytes + 16)])
    : Buffer.concat([words(mediaBytes + 8), Buffer.from('mdat')]);
  let offset = ftyp.length + (indexLast ? 0 : indexBytes) + mdatHeader.length;
  const offsets = chunks.map((chunk) => {
    offset += betweenBytes;
    const start = offset;
    offset += 2 * chunk.length;
    return start;
  });
  const index = moov(options, offsets);
  yield ftyp;
  if (!indexLast) yield index;
  yield mdatHeader;
  const images = new Uint8Array(65_536).fill(0x55);
  for (const chunk of chunks) {
    for (let left = betweenBytes; left > 0; left -= images.length) yield images.subarray(0, left);
    yield new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  }
  if (indexLast) yield index;
}

function moov(options: Mp4Options, offsets: readonly number[]): Uint8Array {
  const { chunks, edits, moovSize, rateHz = DEFAULT_RATE_HZ, packets = false, compositionOffset } = options;
  const samples = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const matrix = words(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x4000_0000);
  const milliseconds = Math.round((samples / rateHz) * 1000);
  const mvhd = box('mvhd', words(0, 0, 0, 1000, milliseconds, 0x10000, 0x0100_0000, 0, 0), matrix, new Uint8Array(28));
  const tkhd = box('tkhd', words(7, 0, 0, 1, 0, milliseconds, 0, 0, 0, 0x0100_0000), matrix, words(0, 0));
  const list = (edits ?? []).flatMap(({ ms, mediaSample }) => [ms, mediaSample, 0x10000]);
  const edts = edits === undefined ? new Uint8Array(0) : box('edts', box('elst', words(0, edits.length, ...list)));
  const mdhd = box('mdhd', words(0, 0, 0, rateHz, samples), halves(0x55c4, 0));
  const hdlr = box('hdlr', words(0, 0), Buffer.from('soun'), new Uint8Array(13));
  const entry = box(
    'sowt',
    new Uint8Array(6),
    halves(1, 0, 0, 0, 0, 1, 16, 0, 0),
    words((rateHz < ENTRY_RATE_LIMIT_HZ ? rateHz : 0) << 16),
  );
  const stbl = box(
    'stbl',
    box('stsd', words(0, 1), entry),
    packets
      ? box('stts', words(0, chunks.length, ...chunks.flatMap((chunk) => [1, chunk.length])))
      : box('stts', words(0, 1, samples, 1)),
    box(
      'stsc',
      words(0, chunks.length, ...chunks.flatMap((chunk, index) => [index + 1, packets ? 1 : chunk.length, 1])),
    ),
    packets
      ? box('stsz', words(0, 0, chunks.length, ...chunks.map((chunk) => 2 * chunk.length)))
      : box('stsz', words(0, 2, samples)),
    ...(compositionOffset === undefined
      ? []
      : [box('ctts', words(0x0100_0000, 1, packets ? chunks.length : samples, compositionOffset))]),
    box('co64', words(0, chunks.length, ...offsets.flatMap((at) => [Math.floor(at / 2 ** 32), at]))),
  );
  const minf = box('minf', box('smhd', words(0, 0)), stbl);
  const body = box('moov', mvhd, box('trak', tkhd, edts, box('mdia', mdhd, hdlr, minf)));
  if (moovSize !== undefined) Buffer.from(body.buffer, body.byteOffset).writeUInt32BE(moovSize >>> 0);
  return body;
}
