import { InferenceError } from '../../../errors.js';
import { type AacRecording, loadAacLibrary } from './aac-library.js';
import type { DecodedBlock } from './decoder.js';

/** Samples of a frame, before SBR doubles them. */
const FRAME_SAMPLES = 1_024;
/** Frames before a segment that bring the decoder's overlap and SBR to where they would have been. */
const WARM_UP_FRAMES = 8;
const ADTS_HEADER_BYTES = 7;
/** The header's length has 13 bits. */
export const AAC_FRAME_MAX_BYTES = 8_191 - ADTS_HEADER_BYTES;

const SAMPLE_RATES_HZ = [
  96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
];
const TYPE_MAIN = 1;
const TYPE_LTP = 4;
const TYPE_SBR = 5;
const TYPE_PS = 29;

/** What an AudioSpecificConfig (ISO 14496-3) says of the frames. */
export interface AacConfig {
  /** 1 to 4: Main, LC, SSR, LTP. */
  readonly objectType: number;
  readonly rateIndex: number;
  readonly channelConfiguration: number;
}

/** Reads the config. Throws AUDIO_UNREADABLE for kinds of AAC that are not decoded. */
export function parseAacConfig(bytes: Uint8Array): AacConfig {
  const [first = 0, second = 0, third = 0] = bytes;
  const rateIndex = ((first & 7) << 1) | (second >> 7);
  const channelConfiguration = (second >> 3) & 0x0f;
  const outer = first >> 3;
  // With SBR or parametric stereo announced, the core's own type follows the doubled rate; it is LC in practice.
  const inner = outer === TYPE_SBR || outer === TYPE_PS ? ((second & 3) << 3) | (third >> 5) : outer;
  const objectType = inner === 0 ? 2 : inner;
  if (objectType < TYPE_MAIN || objectType > TYPE_LTP || rateIndex >= SAMPLE_RATES_HZ.length) {
    throw new InferenceError(
      'AUDIO_UNREADABLE',
      `The MP4 file's AAC is of a kind that is not decoded (object type ${outer}, rate index ${rateIndex}); ` +
        'AAC-LC and HE-AAC are. Convert it first.',
    );
  }
  return { objectType, rateIndex, channelConfiguration };
}

/**
 * Decodes frames of AAC a segment at a time, each segment in FFmpeg as an ADTS stream of its own, with the frames before
 * it so that what comes out is the same as from one long stream.
 */
export class AacSegments {
  #before: readonly Uint8Array[] = [];
  #lostFrames = 0;

  private constructor(
    private readonly open: (content: ArrayBuffer) => Promise<AacRecording>,
    private readonly config: AacConfig,
  ) {}

  static async create(config: AacConfig): Promise<AacSegments> {
    return new AacSegments(await loadAacLibrary(), config);
  }

  get lostFrames(): number {
    return this.#lostFrames;
  }

  /** Mono, as long as the frames say: what could not be decoded is silence. */
  async decode(frames: readonly Uint8Array[]): Promise<DecodedBlock> {
    const content = this.#adts([...this.#before, ...frames]);
    this.#before = frames.slice(-WARM_UP_FRAMES);
    const recording = await this.open(content);
    try {
      const coreRateHz = SAMPLE_RATES_HZ[this.config.rateIndex] ?? 0;
      const rateHz = recording.sampleRate;
      const frameSamples = rateHz >= 2 * coreRateHz ? 2 * FRAME_SAMPLES : FRAME_SAMPLES;
      const decoded = recording.decodeAudioData(0, -1);
      return { channels: [this.#fit(decoded, frames.length, frameSamples)], sampleRateHz: rateHz };
    } finally {
      recording.dispose();
    }
  }

  /** The end of what was decoded is the end of the segment; the beginning was warm-up. */
  #fit(decoded: Float32Array, frameCount: number, frameSamples: number): Float32Array {
    const wanted = frameCount * frameSamples;
    if (decoded.length >= wanted) return decoded.slice(decoded.length - wanted);
    const padded = new Float32Array(wanted);
    padded.set(decoded, wanted - decoded.length);
    // FFmpeg leaves out the first frame of a stream, which only starts the overlap.
    this.#lostFrames += Math.max(0, Math.round((wanted - decoded.length) / frameSamples) - 1);
    return padded;
  }

  #adts(frames: readonly Uint8Array[]): ArrayBuffer {
    const bytes = frames.reduce((sum, frame) => sum + frame.length + ADTS_HEADER_BYTES, 0);
    const content = new Uint8Array(bytes);
    let offset = 0;
    for (const frame of frames) {
      content.set(this.#adtsHeader(frame.length), offset);
      content.set(frame, offset + ADTS_HEADER_BYTES);
      offset += frame.length + ADTS_HEADER_BYTES;
    }
    return content.buffer;
  }

  /** ISO 13818-7, without checksum, one frame each. */
  #adtsHeader(frameBytes: number): number[] {
    const { objectType, rateIndex, channelConfiguration } = this.config;
    const length = frameBytes + ADTS_HEADER_BYTES;
    return [
      0xff,
      0xf1,
      ((objectType - 1) << 6) | (rateIndex << 2) | (channelConfiguration >> 2),
      ((channelConfiguration & 3) << 6) | (length >> 11),
      (length >> 3) & 0xff,
      ((length & 7) << 5) | 0x1f,
      0xfc,
    ];
  }
}
