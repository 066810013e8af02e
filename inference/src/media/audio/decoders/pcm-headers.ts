import type { InferenceError } from '../../../errors.js';
import { CONVERT_ADVICE, unsupportedFormat } from '../formats.js';
import { audioUnreadable, unusableHeader } from '../undecodable.js';
import type { SampleEncoding } from './samples.js';
import type { WavPacketFormat } from './wav-packets.js';

/** The format of a file's samples. */
export interface PcmFormat {
  /** Undefined: they are in packets. */
  readonly encoding: SampleEncoding | undefined;
  readonly packets?: WavPacketFormat;
  readonly channelCount: number;
  readonly sampleRateHz: number;
  readonly warning?: string;
}

/** The header of a file with samples. */
export interface PcmHeader extends PcmFormat {
  /** Size of the samples; undefined: until the end of the file. */
  readonly dataBytes: number | undefined;
}

/**
 * Reads a file up to its samples: yields the number of bytes that it needs next, or, as a negative number, of those to leave out. Throws
 * AUDIO_UNREADABLE.
 */
export type HeaderReader = Generator<number, PcmHeader, DataView>;

const AU_HEADER_BYTES = 24;
/** Sizes that writers to a pipe leave: SoX this or more, in WAV 0x7FFFF000 or more, others SIZE_UNKNOWN. */
export const SIZE_DOUBTFUL = 0x7f00_0000;
export const SIZE_UNKNOWN = 0xffff_ffff;
/** Encodings of Sun AU by their numbers. */
const AU_ENCODINGS: Readonly<Record<number, SampleEncoding>> = {
  1: 'ulaw',
  2: 's8',
  3: 's16be',
  4: 's24be',
  5: 's32be',
  6: 'f32be',
  7: 'f64be',
  27: 'alaw',
};

/** Sun and NeXT AU (`.snd`): six numbers, then a comment up to the samples. */
export function* readAuHeader(): HeaderReader {
  const head = yield AU_HEADER_BYTES;
  const [dataOffset, size, code, sampleRateHz, channelCount] = [4, 8, 12, 16, 20].map((at) => head.getUint32(at));
  if (dataOffset === undefined || dataOffset < AU_HEADER_BYTES)
    throw unusableHeader('AU', `its samples begin at ${dataOffset}`);
  const encoding = AU_ENCODINGS[code ?? 0];
  if (encoding === undefined) throw unsupported('AU', `encoding ${code}`);
  const dataBytes = size === SIZE_UNKNOWN ? undefined : size;
  const header = checked('AU', { encoding, channelCount, sampleRateHz, dataBytes });
  yield AU_HEADER_BYTES - dataOffset;
  return header;
}

const AIFF_HEADER_BYTES = 12;
/** Uncompressed kinds of AIFF-C with a fixed encoding; the others depend on the bits per sample. */
const AIFC_ENCODINGS: Readonly<Record<string, SampleEncoding>> = {
  'raw ': 'u8',
  in24: 's24be',
  in32: 's32be',
  fl32: 'f32be',
  FL32: 'f32be',
  fl64: 'f64be',
  FL64: 'f64be',
  alaw: 'alaw',
  ALAW: 'alaw',
  ulaw: 'ulaw',
  ULAW: 'ulaw',
};
const AIFC_BIG_ENDIAN = new Set(['NONE', 'twos']);
const AIFC_LITTLE_ENDIAN = 'sowt';

/** AIFF and AIFF-C (Apple, 1989 and 1991): chunks, of which `COMM` has the format and `SSND` the samples. */
export function* readAiffHeader(): HeaderReader {
  let format: PcmFormat | undefined;
  yield -AIFF_HEADER_BYTES;
  for (;;) {
    const head = yield 8;
    const id = textAt(head, 0);
    const size = head.getUint32(4);
    let readBytes = 0;
    if (id === 'COMM') {
      if (size < 18) throw unusableHeader('AIFF', `its COMM chunk has ${size} bytes, expected at least 18`);
      readBytes = Math.min(size, 22);
      const body = yield readBytes;
      const kind = size < 22 ? 'NONE' : textAt(body, 18);
      format = {
        encoding: aiffEncoding(kind, body.getUint16(6)),
        channelCount: body.getUint16(0),
        sampleRateHz: extendedAt(body, 8),
      };
    }
    if (id === 'SSND') {
      if (format === undefined) throw unusableHeader('AIFF', 'its COMM chunk is missing, or after the samples');
      const offset = (yield 8).getUint32(0);
      // A writer to a pipe leaves 0.
      const header = checked('AIFF', { ...format, dataBytes: size === 0 ? undefined : Math.max(0, size - 8 - offset) });
      yield -offset;
      return header;
    }
    yield readBytes - size - (size % 2);
  }
}

function aiffEncoding(kind: string, bits: number): SampleEncoding {
  const encoding = AIFC_ENCODINGS[kind];
  if (encoding !== undefined) return encoding;
  if (AIFC_BIG_ENDIAN.has(kind)) return integerOf('AIFF', bits, 'be');
  if (kind === AIFC_LITTLE_ENDIAN) return integerOf('AIFF', bits, '');
  throw unsupported('AIFF', `the codec "${kind.replace(/[^\x20-\x7e]/g, '?')}"`);
}

const CAF_HEADER_BYTES = 8;
const CAF_DESC_BYTES = 32;
const CAF_FLOAT = 1;
const CAF_LITTLE_ENDIAN = 2;
const CAF_NAMES: Readonly<Record<string, string>> = { 'aac ': 'AAC', alac: 'ALAC', ima4: 'IMA ADPCM', opus: 'Opus' };

/** Core Audio Format (Apple): chunks with sizes of 64 bits, of which `desc` has the format and `data` the samples. */
export function* readCafHeader(): HeaderReader {
  let format: PcmFormat | undefined;
  yield -CAF_HEADER_BYTES;
  for (;;) {
    const head = yield 12;
    const id = textAt(head, 0);
    const size = Number(head.getBigInt64(4));
    if (id === 'data') {
      if (format === undefined) throw unusableHeader('CAF', 'its desc chunk is missing');
      // The first four bytes count the edits. A size of -1 means until the end, and libsndfile leaves 4 in a pipe.
      yield -4;
      return checked('CAF', { ...format, dataBytes: size <= 4 ? undefined : size - 4 });
    }
    if (size < 0) throw unusableHeader('CAF', `its ${id.replace(/[^\x20-\x7e]/g, '?')} chunk has a size of ${size}`);
    if (id === 'desc') {
      if (size < CAF_DESC_BYTES)
        throw unusableHeader('CAF', `its desc chunk has ${size} bytes, expected ${CAF_DESC_BYTES}`);
      const body = yield CAF_DESC_BYTES;
      format = {
        encoding: cafEncoding({
          kind: textAt(body, 8),
          flags: body.getUint32(12),
          bits: body.getUint32(28),
          containerBytes: body.getUint32(16) / body.getUint32(20) / body.getUint32(24),
        }),
        channelCount: body.getUint32(24),
        sampleRateHz: body.getFloat64(0),
      };
    }
    yield (id === 'desc' ? CAF_DESC_BYTES : 0) - size;
  }
}

interface CafFormat {
  readonly kind: string;
  readonly flags: number;
  readonly bits: number;
  /** Bytes of a sample; 0, infinite or no number if the file leaves them out. */
  readonly containerBytes: number;
}

function cafEncoding({ kind, flags, bits, containerBytes }: CafFormat): SampleEncoding {
  if (kind === 'ulaw' || kind === 'alaw') return kind;
  if (kind !== 'lpcm') throw unsupported('CAF', CAF_NAMES[kind] ?? `the codec "${kind.replace(/[^\x20-\x7e]/g, '?')}"`);
  const order = flags & CAF_LITTLE_ENDIAN ? '' : 'be';
  // The format does not tell which bits of a larger container are used.
  if (containerBytes > 0 && Number.isFinite(containerBytes) && containerBytes !== Math.ceil(bits / 8)) {
    throw unsupported('CAF', `samples of ${bits} bits in ${containerBytes} bytes`);
  }
  if ((flags & CAF_FLOAT) === 0) return integerOf('CAF', bits, order);
  if (bits !== 32 && bits !== 64) throw unsupported('CAF', `float of ${bits} bits`);
  return `f${bits}${order}`;
}

/** Other bit depths use the upper bits of the next full byte. */
function integerOf(name: string, bits: number, order: 'be' | ''): SampleEncoding {
  const encoding = (['s8', `s16${order}`, `s24${order}`, `s32${order}`] as const)[Math.ceil(bits / 8) - 1];
  if (encoding === undefined) throw unsupported(name, `PCM of ${bits} bits`);
  return encoding;
}

type Claimed = { readonly [Field in keyof PcmHeader]: PcmHeader[Field] | undefined };

function checked(name: string, header: Claimed): PcmHeader {
  const { encoding, channelCount = 0, sampleRateHz = 0, dataBytes } = header;
  const unsupported = unsupportedFormat(channelCount, sampleRateHz);
  if (unsupported !== undefined) throw unusableHeader(name, unsupported);
  if (encoding === undefined) throw unusableHeader(name, 'it has no format');
  return { encoding, channelCount, sampleRateHz: Math.round(sampleRateHz), dataBytes };
}

/** Returns an 80-bit extended float (IEEE 754): sign and exponent, then a mantissa with its integer bit. */
function extendedAt(view: DataView, at: number): number {
  const exponent = (view.getUint16(at) & 0x7fff) - 16_383 - 63;
  return Number(view.getBigUint64(at + 2)) * 2 ** exponent;
}

/** The four letters at an offset. */
export function textAt(view: DataView, at: number): string {
  return String.fromCharCode(...[0, 1, 2, 3].map((offset) => view.getUint8(at + offset)));
}

function unsupported(name: string, what: string): InferenceError {
  return audioUnreadable(
    `The ${name} file contains ${what}, which is not supported in ${name}; PCM, float, A-law and mu-law are. ${CONVERT_ADVICE}`,
  );
}
