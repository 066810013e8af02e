import type { InferenceError } from '../../../errors.js';
import { CONVERT_ADVICE, unsupportedFormat } from '../formats.js';
import { audioUnreadable, unusableHeader } from '../undecodable.js';
import { type SampleEncoding, sampleBytes } from './samples.js';

/** The header of a file with uncompressed samples. */
export interface PcmHeader {
  readonly encoding: SampleEncoding;
  readonly channelCount: number;
  readonly sampleRateHz: number;
  /** Offset of the samples in the file. */
  readonly dataOffset: number;
  /** Size of the samples; undefined: until the end of the file. */
  readonly dataBytes: number | undefined;
}

/** Parses the header in the first bytes of a file; undefined if more are needed. Throws AUDIO_UNREADABLE. */
export type ReadPcmHeader = (head: DataView) => PcmHeader | undefined;

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
export const readAuHeader: ReadPcmHeader = (head) => {
  if (head.byteLength < AU_HEADER_BYTES) return undefined;
  const [dataOffset, size, code, sampleRateHz, channelCount] = [4, 8, 12, 16, 20].map((at) => head.getUint32(at));
  if (dataOffset === undefined || dataOffset < AU_HEADER_BYTES)
    throw unusableHeader('AU', `its samples begin at ${dataOffset}`);
  const encoding = AU_ENCODINGS[code ?? 0];
  if (encoding === undefined) throw unsupported('AU', `encoding ${code}`);
  const dataBytes = size === SIZE_UNKNOWN ? undefined : size;
  return checked('AU', { encoding, channelCount, sampleRateHz, dataOffset, dataBytes });
};

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
export const readAiffHeader: ReadPcmHeader = (head) => {
  let format: Pick<PcmHeader, 'encoding' | 'channelCount' | 'sampleRateHz'> | undefined;
  for (let at = AIFF_HEADER_BYTES; at + 8 <= head.byteLength; ) {
    const id = textAt(head, at);
    const size = head.getUint32(at + 4);
    const body = at + 8;
    if (id === 'COMM') {
      if (size < 18) throw unusableHeader('AIFF', `its COMM chunk has ${size} bytes, expected at least 18`);
      if (body + Math.min(size, 22) > head.byteLength) return undefined;
      const kind = size < 22 ? 'NONE' : textAt(head, body + 18);
      format = {
        encoding: aiffEncoding(kind, head.getUint16(body + 6)),
        channelCount: head.getUint16(body),
        sampleRateHz: extendedAt(head, body + 8),
      };
    }
    if (id === 'SSND') {
      if (format === undefined) throw unusableHeader('AIFF', 'its COMM chunk is missing, or after the samples');
      if (body + 8 > head.byteLength) return undefined;
      const skipped = 8 + head.getUint32(body);
      // A writer to a pipe leaves 0.
      const dataBytes = size === 0 ? undefined : Math.max(0, size - skipped);
      return checked('AIFF', { ...format, dataOffset: body + skipped, dataBytes });
    }
    at = body + size + (size % 2);
  }
  return undefined;
};

function aiffEncoding(kind: string, bits: number): SampleEncoding {
  const encoding = AIFC_ENCODINGS[kind];
  if (encoding !== undefined) return encoding;
  if (AIFC_BIG_ENDIAN.has(kind)) return integerOf('AIFF', bits, 'be');
  if (kind === AIFC_LITTLE_ENDIAN) return integerOf('AIFF', bits, '');
  throw unsupported('AIFF', `the codec "${kind.replace(/[^\x20-\x7e]/g, '?')}"`);
}

const CAF_HEADER_BYTES = 8;
const CAF_FLOAT = 1;
const CAF_LITTLE_ENDIAN = 2;
const CAF_NAMES: Readonly<Record<string, string>> = { 'aac ': 'AAC', alac: 'ALAC', ima4: 'IMA ADPCM', opus: 'Opus' };

/** Core Audio Format (Apple): chunks with sizes of 64 bits, of which `desc` has the format and `data` the samples. */
export const readCafHeader: ReadPcmHeader = (head) => {
  let format: Pick<PcmHeader, 'encoding' | 'channelCount' | 'sampleRateHz'> | undefined;
  for (let at = CAF_HEADER_BYTES; at + 12 <= head.byteLength; ) {
    const id = textAt(head, at);
    const size = Number(head.getBigInt64(at + 4));
    const body = at + 12;
    if (id === 'desc') {
      if (body + 32 > head.byteLength) return undefined;
      format = {
        encoding: cafEncoding({
          kind: textAt(head, body + 8),
          flags: head.getUint32(body + 12),
          bits: head.getUint32(body + 28),
          containerBytes: head.getUint32(body + 16) / head.getUint32(body + 20) / head.getUint32(body + 24),
        }),
        channelCount: head.getUint32(body + 24),
        sampleRateHz: head.getFloat64(body),
      };
    }
    if (id === 'data') {
      if (format === undefined) throw unusableHeader('CAF', 'its desc chunk is missing');
      // The first four bytes count the edits. A size of -1 means until the end, and libsndfile leaves 4 in a pipe.
      return checked('CAF', { ...format, dataOffset: body + 4, dataBytes: size <= 4 ? undefined : size - 4 });
    }
    if (size < 0) throw unusableHeader('CAF', `its ${id.replace(/[^\x20-\x7e]/g, '?')} chunk has a size of ${size}`);
    at = body + size;
  }
  return undefined;
};

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
  if (bits >= 1 && bits <= 8) return 's8';
  if (bits > 8 && bits <= 16) return `s16${order}`;
  if (bits > 16 && bits <= 24) return `s24${order}`;
  if (bits > 24 && bits <= 32) return `s32${order}`;
  throw unsupported(name, `PCM of ${bits} bits`);
}

type Claimed = { readonly [Field in keyof PcmHeader]: PcmHeader[Field] | undefined };

function checked(name: string, header: Claimed): PcmHeader {
  const { encoding, channelCount = 0, sampleRateHz = 0, dataOffset = 0, dataBytes } = header;
  const unsupported = unsupportedFormat(channelCount, sampleRateHz);
  if (unsupported !== undefined) throw unusableHeader(name, unsupported);
  if (encoding === undefined) throw unusableHeader(name, 'it has no format');
  return { encoding, channelCount, sampleRateHz: Math.round(sampleRateHz), dataOffset, dataBytes };
}

/** Returns the bytes of a second. */
export function bytesPerSecond({ encoding, channelCount, sampleRateHz }: PcmHeader): number {
  return sampleBytes(encoding) * channelCount * sampleRateHz;
}

/** Returns an 80-bit extended float (IEEE 754): sign and exponent, then a mantissa with its integer bit. */
function extendedAt(view: DataView, at: number): number {
  const exponent = (view.getUint16(at) & 0x7fff) - 16_383 - 63;
  return Number(view.getBigUint64(at + 2)) * 2 ** exponent;
}

function textAt(view: DataView, at: number): string {
  return String.fromCharCode(...[0, 1, 2, 3].map((offset) => view.getUint8(at + offset)));
}

function unsupported(name: string, what: string): InferenceError {
  return audioUnreadable(
    `The ${name} file contains ${what}, which is not supported in ${name}; PCM, float, A-law and mu-law are. ${CONVERT_ADVICE}`,
  );
}
