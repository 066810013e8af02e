import type { InferenceError } from '../../../errors.js';
import { viewOf } from '../../bytes.js';
import { CONVERT_ADVICE, unsupportedFormat } from '../formats.js';
import { audioUnreadable, unusableHeader } from '../undecodable.js';
import { PACKET_CODECS } from './codecs.js';
import type { PacketCodec } from './packet-decoder.js';
import type { PcmFormat } from './pcm-headers.js';
import { type SampleEncoding, sampleBytes } from './samples.js';
import { TAG_EXTENSIBLE } from './wav-blocks.js';

/** Tags (RFC 2361) of packet codecs. */
const PACKET_TAGS: Readonly<Record<number, PacketCodec>> = {
  2: 'adpcm-ms',
  17: 'adpcm-ima',
  49: 'gsm',
  80: 'mp3',
  85: 'mp3',
};
/** Names of unsupported tags that occur in practice. */
const TAG_NAMES: Readonly<Record<number, string>> = {
  34: 'TrueSpeech',
  64: 'G.721 ADPCM',
  66: 'G.723.1',
  69: 'G.726 ADPCM',
  112: 'AMR-NB',
  131: 'G.729',
  255: 'AAC',
  353: 'Windows Media Audio',
  354: 'Windows Media Audio Professional',
  8192: 'AC-3',
  8193: 'DTS',
  655: 'G.722',
  57345: 'Ogg Vorbis',
  61868: 'FLAC',
};

/** Encodings of samples by tag and bits. */
const SAMPLE_ENCODINGS: Readonly<Record<string, SampleEncoding>> = {
  '1/8': 'u8',
  '1/16': 's16',
  '1/24': 's24',
  '1/32': 's32',
  '3/32': 'f32',
  '3/64': 'f64',
  '6/8': 'alaw',
  '7/8': 'ulaw',
};

/** Parses the body of a `fmt ` chunk. Throws AUDIO_UNREADABLE for an unsupported encoding or implausible values. */
export function parseWavFormat(body: Uint8Array): PcmFormat {
  if (body.length < 16) throw unreadable(`its 'fmt' chunk has ${body.length} bytes, expected at least 16`);
  const view = viewOf(body);
  const channelCount = view.getUint16(2, true);
  const sampleRateHz = view.getUint32(4, true);
  const unsupported = unsupportedFormat(channelCount, sampleRateHz);
  if (unsupported !== undefined) throw unreadable(unsupported);
  // WAVE_FORMAT_EXTENSIBLE has the original tag in the first two bytes of its GUID.
  const outer = view.getUint16(0, true);
  const tag = outer === TAG_EXTENSIBLE && body.length >= 26 ? view.getUint16(24, true) : outer;
  const codec = PACKET_TAGS[tag];
  if (codec === undefined) return sampleFormat(view, tag, { channelCount, sampleRateHz });
  const blockBytes = view.getUint16(12, true);
  if (blockBytes === 0) throw unreadable(`the block size of ${PACKET_CODECS[codec].name} is 0`);
  const packets = { codec, blockBytes, description: body.slice() };
  return { encoding: undefined, packets, channelCount, sampleRateHz };
}

function sampleFormat(view: DataView, tag: number, rates: Pick<PcmFormat, 'channelCount' | 'sampleRateHz'>): PcmFormat {
  const { channelCount, sampleRateHz } = rates;
  const frameBytes = view.getUint16(12, true);
  const bits = view.getUint16(14, true);
  // Samples of up to 24 bits in four bytes use the upper bits: the header says so twice.
  const inFourBytes = frameBytes === 4 * channelCount && view.getUint32(8, true) === frameBytes * sampleRateHz;
  const encoding = encodingOf(tag, tag === 1 && bits > 16 && inFourBytes ? 32 : bits);
  const trueFrameBytes = sampleBytes(encoding) * channelCount;
  if (frameBytes === trueFrameBytes || frameBytes === 0) return { encoding, ...rates };
  const warning = `The WAV header declares ${frameBytes} bytes per frame, but its other fields imply ${trueFrameBytes}; the latter was used.`;
  return { encoding, ...rates, warning };
}

function encodingOf(tag: number, bits: number): SampleEncoding {
  // Other bit depths of PCM use the upper bits of the next full byte.
  const encoding = SAMPLE_ENCODINGS[`${tag}/${tag === 1 ? 8 * Math.ceil(bits / 8) : bits}`];
  if (encoding !== undefined) return encoding;
  const name = TAG_NAMES[tag];
  const label = name === undefined ? `encoding ${tag}` : `${name} (encoding ${tag})`;
  throw audioUnreadable(
    `The WAV file contains ${label} of ${bits} bits, which is not supported. Supported are PCM of 8 to 32 bits, float of 32 or 64, A-law, mu-law, ${decodedWavCodecs()}. ${CONVERT_ADVICE}`,
  );
}

function decodedWavCodecs(): string {
  return [...new Set(Object.values(PACKET_TAGS))].map((codec) => PACKET_CODECS[codec].name).join(', ');
}

function unreadable(reason: string): InferenceError {
  return unusableHeader('WAV', reason);
}
