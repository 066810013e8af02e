import { InferenceError } from '../../errors.js';
import type { PcmSource } from '../../models/speech.js';

/** What recordings may be, as GetServerInfo lists it. Recognised by content, never by name. */
export const AUDIO_FORMATS = ['wav', 'flac', 'mp3', 'ogg-vorbis', 'ogg-opus', 'mp4-aac'] as const;
export type AudioFormat = (typeof AUDIO_FORMATS)[number];

/** How samples without a container are written: little endian, channels interleaved. */
export interface RawAudioFormat {
  readonly encoding: 'pcm-s16le' | 'pcm-f32le';
  /** 1,000 to 384,000. */
  readonly sampleRateHz: number;
  /** 1 to 32. */
  readonly channelCount: number;
}

export interface OpenAudioOptions {
  /** Present only when the content has no container. */
  readonly raw?: RawAudioFormat | undefined;
  /** A longer recording: AUDIO_TOO_LONG from `read`. */
  readonly maxSeconds: number;
  /** Aborted: the decoder ends and reads reject with CANCELLED. */
  readonly signal: AbortSignal;
}

/**
 * Opens a recording, whole or as it arrives, for reading as 16 kHz mono. Decoding happens in a thread of its own, a few
 * seconds ahead of the reader at most. Rejects with AUDIO_UNREADABLE (saying what came) or INVALID_ARGUMENT (`raw`).
 */
export async function openAudio(
  _content: Uint8Array | AsyncIterable<Uint8Array>,
  _options: OpenAudioOptions,
): Promise<PcmSource> {
  throw new InferenceError('AUDIO_UNREADABLE', 'Audio is not written yet.');
}
