/** What recordings may be, as GetServerInfo lists it. Recognised by content, never by name. */
export const AUDIO_FORMATS = ['wav', 'flac', 'mp3', 'ogg-vorbis', 'ogg-opus', 'mp4-aac'] as const;
export type AudioFormat = (typeof AUDIO_FORMATS)[number];

/** What is told apart to be decoded: FLAC comes in Ogg as well. */
export type AudioContainer = AudioFormat | 'ogg-flac';

/** As a message to the caller names them. */
export const ACCEPTED_FORMATS_TEXT = 'WAV, FLAC, MP3, Ogg Vorbis, Ogg Opus and AAC in MP4';

/** How samples without a container are written: little endian, channels interleaved. */
export interface RawAudioFormat {
  readonly encoding: 'pcm-s16le' | 'pcm-f32le';
  /** 1,000 to 384,000. */
  readonly sampleRateHz: number;
  /** 1 to 32. */
  readonly channelCount: number;
}

/** What is believable in a header, and accepted of a caller. */
export const SAMPLE_RATE_MIN_HZ = 1_000;
export const SAMPLE_RATE_MAX_HZ = 384_000;
export const CHANNELS_MAX = 32;
