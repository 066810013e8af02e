import { InferenceError } from '../../errors.js';
import { OGG_MAGICS } from './decoders/ogg-pages.js';
import { ACCEPTED_FORMATS_TEXT, type AudioContainer } from './formats.js';
import { hasMpegFrames, isAdts } from './mpeg-frames.js';
import { findTransportLayout } from './transport-layout.js';

/** Maximum number of bytes examined: enough to detect every format. */
export const HEAD_BYTES = 8_192;
/** Enough for a magic number and the first chunk of a WAV. */
const HEAD_MIN_BYTES = 64;

/** Magic numbers (Latin-1) of unsupported formats, to name them in the error. */
const OTHERS: readonly (readonly [offset: number, magic: string, name: string])[] = [
  [0, '\x89PNG', 'a PNG image'],
  [0, '\xff\xd8\xff', 'a JPEG image'],
  [0, 'GIF8', 'a GIF image'],
  [0, '%PDF', 'a PDF document'],
  [0, 'PK\x03\x04', 'a ZIP archive'],
  [0, '\x1f\x8b', 'gzip-compressed data'],
  [0, 'FORM', 'an AIFF file'],
  [0, 'RIFX', 'a big-endian WAV file'],
  [0, 'caff', 'a Core Audio file'],
  [0, '#!AMR', 'an AMR file'],
  [0, 'MThd', 'a MIDI file'],
  [0, '\x30\x26\xb2\x75', 'a Windows Media file'],
  [0, 'wvpk', 'a WavPack file'],
  [0, 'MAC ', "a Monkey's Audio file"],
  [8, 'AVI ', 'an AVI film'],
  [8, 'WEBP', 'a WebP image'],
];

/** First boxes of MP4 and QuickTime files. */
const MP4_BOXES = new Set(['ftyp', 'moov', 'mdat', 'wide', 'free', 'skip', 'pnot', 'styp', 'moof', 'sidx']);
/**
 * Detects the format from the first bytes; undefined if more are needed. `complete`: there are no more bytes, or enough.
 * Throws AUDIO_UNREADABLE, which names the detected and the accepted formats.
 */
export function detectFormat(head: Uint8Array, complete: boolean): AudioContainer | undefined {
  if (head.length === 0 && complete) {
    throw new InferenceError('AUDIO_UNREADABLE', `The audio is empty. Accepted formats: ${ACCEPTED_FORMATS_TEXT}.`);
  }
  if (head.length < HEAD_MIN_BYTES && !complete) return undefined;
  const text = latin1(head);
  if (/^(RIFF|RF64|BW64)....WAVE/s.test(text)) return 'wav';
  if (text.startsWith('fLaC')) return 'flac';
  if (MP4_BOXES.has(text.slice(4, 8))) return 'mp4';
  if (text.startsWith('\x1aE\xdf\xa3')) return 'matroska';
  if (text.startsWith('OggS')) {
    if (Object.values(OGG_MAGICS).some((magic) => text.includes(magic))) return 'ogg';
    if (complete) throw notAccepted('an Ogg file without Vorbis, Opus or FLAC in its first pages');
    return undefined;
  }
  if (!complete) return undefined;
  const id3Bytes = text.startsWith('ID3') ? id3Length(head) : 0;
  const body = head.subarray(id3Bytes);
  if (latin1(body.subarray(0, 4)) === 'fLaC') return 'flac';
  if (findTransportLayout(head) !== undefined) return 'mpeg-ts';
  if (isAdts(body)) return 'adts';
  // After a tag longer than the head, the decoder has to find the frames.
  if (id3Bytes > head.length || hasMpegFrames(body)) return 'mp3';
  throw notAccepted(nameOf(head, text));
}

function notAccepted(what: string): InferenceError {
  return new InferenceError(
    'AUDIO_UNREADABLE',
    `Unsupported audio format: this looks like ${what}. Accepted formats: ${ACCEPTED_FORMATS_TEXT}; ` +
      'samples without a container need `raw`.',
  );
}

function nameOf(head: Uint8Array, text: string): string {
  const other = OTHERS.find(([offset, magic]) => text.startsWith(magic, offset));
  if (other !== undefined) return other[2];
  if (/^\s*<(!doctype|html|\?xml|[a-z]+[\s>])/i.test(text)) return 'a web page or XML';
  if (/^\s*[[{]\s*["{[\d]/.test(text)) return 'JSON';
  if (looksLikeText(head)) return `text (${JSON.stringify(new TextDecoder().decode(head.subarray(0, 24)))})`;
  const bytes = [...head.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, '0'));
  return `unknown data beginning with ${bytes.join(' ')}`;
}

/** Returns whether this is well-formed UTF-8 (the head may cut the last character) without control characters. */
function looksLikeText(head: Uint8Array): boolean {
  const part = head.subarray(0, 512);
  if (part.some((byte) => byte < 32 && byte !== 9 && byte !== 10 && byte !== 13)) return false;
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(part, { stream: true });
    return true;
  } catch {
    return false;
  }
}

/** Returns the length of an ID3v2 tag including its header; the size field has seven bits per byte. */
function id3Length(head: Uint8Array): number {
  const [a = 0, b = 0, c = 0, d = 0] = head.subarray(6, 10);
  return 10 + ((a & 0x7f) << 21) + ((b & 0x7f) << 14) + ((c & 0x7f) << 7) + (d & 0x7f);
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}
