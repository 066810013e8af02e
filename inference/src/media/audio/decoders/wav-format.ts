import { InferenceError } from '../../../errors.js';
import { CHANNELS_MAX, SAMPLE_RATE_MAX_HZ, SAMPLE_RATE_MIN_HZ } from '../formats.js';
import { type SampleEncoding, sampleBytes } from './samples.js';

/** What a `fmt ` chunk says. */
export interface WavFormat {
  readonly encoding: SampleEncoding;
  readonly channelCount: number;
  readonly sampleRateHz: number;
  readonly bytesPerSecond: number;
  readonly warning: string | undefined;
}

const TAG_EXTENSIBLE = 0xfffe;
/** Names of the tags of RFC 2361 that are met in practice and not read. */
const TAG_NAMES: Readonly<Record<number, string>> = {
  2: 'Microsoft ADPCM',
  17: 'IMA ADPCM',
  49: 'GSM 6.10',
  80: 'MPEG',
  85: 'MP3',
  255: 'AAC',
};

/** Reads the chunk's body. Throws AUDIO_UNREADABLE for an encoding that is not read, or numbers no recording has. */
export function parseWavFormat(body: Uint8Array): WavFormat {
  if (body.length < 16) throw unreadable(`its 'fmt' chunk has ${body.length} bytes, at least 16 are needed`);
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const channelCount = view.getUint16(2, true);
  const sampleRateHz = view.getUint32(4, true);
  const frameBytes = view.getUint16(12, true);
  const bits = view.getUint16(14, true);
  if (channelCount < 1 || channelCount > CHANNELS_MAX) {
    throw unreadable(`it says ${channelCount} channels, 1 to ${CHANNELS_MAX} are read`);
  }
  if (sampleRateHz < SAMPLE_RATE_MIN_HZ || sampleRateHz > SAMPLE_RATE_MAX_HZ) {
    throw unreadable(
      `it says ${sampleRateHz} samples a second, ${SAMPLE_RATE_MIN_HZ} to ${SAMPLE_RATE_MAX_HZ} are read`,
    );
  }
  // WAVE_FORMAT_EXTENSIBLE keeps the old tag in the first two bytes of its GUID.
  const outer = view.getUint16(0, true);
  const tag = outer === TAG_EXTENSIBLE && body.length >= 26 ? view.getUint16(24, true) : outer;
  const encoding = encodingOf(tag, bits);
  const trueFrameBytes = sampleBytes(encoding) * channelCount;
  return {
    encoding,
    channelCount,
    sampleRateHz,
    bytesPerSecond: trueFrameBytes * sampleRateHz,
    warning:
      frameBytes === trueFrameBytes || frameBytes === 0
        ? undefined
        : `The WAV header says ${frameBytes} bytes a frame, its other fields say ${trueFrameBytes}; the latter was used.`,
  };
}

function encodingOf(tag: number, bits: number): SampleEncoding {
  if (tag === 1) {
    // Depths between whole bytes are kept in the upper bits of the next whole byte.
    if (bits >= 1 && bits <= 8) return 'u8';
    if (bits > 8 && bits <= 16) return 's16';
    if (bits > 16 && bits <= 24) return 's24';
    if (bits > 24 && bits <= 32) return 's32';
  }
  if (tag === 3 && bits === 32) return 'f32';
  if (tag === 3 && bits === 64) return 'f64';
  if (tag === 6 && bits === 8) return 'alaw';
  if (tag === 7 && bits === 8) return 'ulaw';
  const name = TAG_NAMES[tag];
  const what = name === undefined ? `encoding ${tag}` : `${name} (encoding ${tag})`;
  throw unreadable(
    `it holds ${what} of ${bits} bits; PCM of 8 to 32 bits, float of 32 or 64, A-law and mu-law are read`,
  );
}

function unreadable(reason: string): InferenceError {
  return new InferenceError('AUDIO_UNREADABLE', `The WAV header cannot be used: ${reason}.`);
}
