import type { InferenceError } from '../../errors.js';
import { latin1 } from '../bytes.js';
import { OGG_MAGICS } from './decoders/ogg-pages.js';
import { ACCEPTED_FORMATS_TEXT, type AudioContainer, CONVERT_ADVICE } from './formats.js';
import { hasAdtsFrames, hasMpegFrames, isAdts } from './mpeg-frames.js';
import { findTransportLayout } from './transport-layout.js';
import { audioUnreadable } from './undecodable.js';

/** Number of bytes examined: enough to detect every format. */
const HEAD_BYTES = 8_192;
/** Maximum number of zeros before frames of MP3 or AAC, in addition: some writers begin with thousands. */
const ZEROS_MAX_BYTES = 65_536;
/** Maximum rest of a short tag of which the length is wrong. The bytes examined after it have two frames of any length. */
const TAG_REST_MAX_BYTES = 5_120;
/** Enough for a magic number and the first chunk of a WAV. */
const HEAD_MIN_BYTES = 64;

type Magic<Name extends string = string> = readonly [offset: number, magic: string, name: Name];

/** Magic numbers (Latin-1) of accepted formats. */
const FORMATS: readonly Magic<AudioContainer>[] = [
  [0, 'fLaC', 'flac'],
  [0, '.snd', 'au'],
  [0, 'caff', 'caf'],
  // The first box of MP4 and QuickTime files.
  ...['ftyp', 'moov', 'mdat', 'wide', 'free', 'skip', 'pnot', 'styp', 'moof', 'sidx'].map(
    (box) => [4, box, 'mp4'] as const,
  ),
  [0, '\x1aE\xdf\xa3', 'matroska'],
];

/** Magic numbers of unsupported audio and video formats, to name them in the error. */
const OTHER_AUDIO: readonly Magic[] = [
  [0, 'RIFX', 'a big-endian WAV file'],
  [0, 'riff\x2e\x91\xcf\x11', 'a Sony Wave64 file'],
  [0, '#!AMR-WB', 'an AMR-WB file'],
  [0, '#!AMR', 'an AMR-NB file'],
  [0, '\x56\xe0', 'AAC in LOAS/LATM frames'],
  [0, '\x56\xe1', 'AAC in LOAS/LATM frames'],
  [0, '\x0b\x77', 'AC-3 or E-AC-3 without a container'],
  [0, '\x7f\xfe\x80\x01', 'DTS without a container'],
  [0, '\x30\x26\xb2\x75', 'a Windows Media file'],
  [0, 'wvpk', 'a WavPack file'],
  [0, 'MAC ', "a Monkey's Audio file"],
  [0, 'TTA1', 'a True Audio file'],
  [0, 'MPCK', 'a Musepack file'],
  [0, 'MP+', 'a Musepack file'],
  [0, 'DSD ', 'a DSD file'],
  [0, 'FRM8', 'a DSD file'],
  [0, '.RMF', 'a RealMedia file'],
  [0, '.ra\xfd', 'a RealAudio file'],
  [0, 'Creative Voice File', 'a Creative Voice file'],
  // The form of many collections of speech.
  [0, 'NIST_1A\n', 'a NIST SPHERE file'],
  [0, 'FLV\x01', 'a Flash video'],
  [8, 'AVI ', 'an AVI video'],
  [0, '\x00\x00\x01\xba', 'an MPEG program stream'],
  [0, '\x06\x0e\x2b\x34', 'an MXF video'],
];
/** Magic numbers of files without audio that FFmpeg could extract. */
const OTHERS: readonly Magic[] = [
  [0, '\x89PNG', 'a PNG image'],
  [0, '\xff\xd8\xff', 'a JPEG image'],
  [0, 'GIF8', 'a GIF image'],
  [0, '%PDF', 'a PDF document'],
  [0, 'PK\x03\x04', 'a ZIP archive'],
  [0, '\x1f\x8b', 'gzip-compressed data'],
  [0, 'MThd', 'a MIDI file'],
  [8, 'WEBP', 'a WebP image'],
];

/** Magic number of FLAC with the header of STREAMINFO, the last metadata or not. */
const FLAC_STARTS = ['fLaC\x00\x00\x00\x22', 'fLaC\x80\x00\x00\x22'];
/** The first page of an Ogg stream. */
const OGG_START = 'OggS\x00\x02';

/**
 * Detects the format from the first bytes; undefined if more are needed. `complete`: there are no more bytes, or enough. `tagBytes`: length
 * of the tags before them. Throws AUDIO_UNREADABLE, which names the detected and the accepted formats.
 */
export function detectFormat(head: Uint8Array, complete: boolean, tagBytes: number): AudioContainer | undefined {
  if (head.length === 0 && complete) {
    throw audioUnreadable(`The audio is empty. Accepted formats: ${ACCEPTED_FORMATS_TEXT}.`);
  }
  if (head.length < HEAD_MIN_BYTES && !complete) return undefined;
  const text = latin1(head);
  if (/^(RIFF|RF64|BW64)....WAVE/s.test(text)) return 'wav';
  if (/^FORM....AIF[FC]/s.test(text)) return 'aiff';
  const format = find(FORMATS, text);
  if (format !== undefined) return format;
  if (text.startsWith('OggS')) return oggFormat(text, complete);
  if (!complete) return undefined;
  const audio = find(OTHER_AUDIO, text);
  const found = framesFormat(head) ?? (audio === undefined ? formatBehind(head, text, tagBytes) : undefined);
  if (found !== undefined) return found;
  throw audio === undefined ? notAccepted(nameOf(head, text)) : notAccepted(audio, ` ${CONVERT_ADVICE}`);
}

function oggFormat(text: string, complete: boolean): 'ogg' | undefined {
  if (hasOggCodec(text)) return 'ogg';
  if (complete && text.includes('Speex   ')) throw notAccepted('Speex in Ogg', ` ${CONVERT_ADVICE}`);
  if (complete) throw notAccepted('an Ogg file without Vorbis, Opus or FLAC in its first pages');
  return undefined;
}

/** The format of frames without a container, which may have zeros before them. */
function framesFormat(head: Uint8Array): AudioContainer | undefined {
  if (findTransportLayout(head) !== undefined) return 'mpeg-ts';
  const body = head.subarray(leadingZeros(head));
  if (isAdts(body)) return 'adts';
  if (hasMpegFrames(body)) return 'mp3';
  return hasAdtsFrames(body) ? 'adts' : undefined;
}

/** The format of what begins behind garbage, which FFmpeg finds too. */
function formatBehind(head: Uint8Array, text: string, tagBytes: number): AudioContainer | undefined {
  if (find(OTHERS, text) !== undefined) return undefined;
  // FLAC in Ogg has the start of FLAC too.
  if (text.includes(OGG_START) && hasOggCodec(text)) return 'ogg';
  if (FLAC_STARTS.some((start) => text.includes(start))) return 'flac';
  // The length of a long tag may be wrong, or invalid: the decoder has to find the frames.
  if (tagBytes > HEAD_BYTES || text.startsWith('ID3')) return 'mp3';
  return tagBytes > 0 && hasMpegFrames(head.subarray(leadingZeros(head)), TAG_REST_MAX_BYTES) ? 'mp3' : undefined;
}

function hasOggCodec(text: string): boolean {
  return Object.values(OGG_MAGICS).some((magic) => text.includes(magic));
}

/** Number of bytes examined of a file that begins like this. */
export function headBytes(start: Uint8Array): number {
  return HEAD_BYTES + leadingZeros(start);
}

function leadingZeros(head: Uint8Array): number {
  const zeros = head.subarray(0, ZEROS_MAX_BYTES);
  const first = zeros.findIndex((byte) => byte !== 0);
  return first === -1 ? zeros.length : first;
}

function notAccepted(what: string, advice = ''): InferenceError {
  return audioUnreadable(
    `Unsupported audio format: this looks like ${what}. Accepted formats: ${ACCEPTED_FORMATS_TEXT}; ` +
      `samples without a container need \`raw\`.${advice}`,
  );
}

function nameOf(head: Uint8Array, text: string): string {
  const other = find(OTHERS, text);
  if (other !== undefined) return other;
  if (/^\s*<(!doctype|html|\?xml|[a-z]+[\s>])/i.test(text)) return 'a web page or XML';
  if (/^\s*[[{]\s*["{[\d]/.test(text)) return 'JSON';
  if (looksLikeText(head)) return `text (${JSON.stringify(new TextDecoder().decode(head.subarray(0, 24)))})`;
  const bytes = [...head.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, '0'));
  return `unknown data beginning with ${bytes.join(' ')}`;
}

function find<Name extends string>(known: readonly Magic<Name>[], text: string): Name | undefined {
  return known.find(([offset, magic]) => text.startsWith(magic, offset))?.[2];
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
