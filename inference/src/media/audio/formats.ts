/** What audio files may be, as GetServerInfo lists it. Recognised by content, never by name. */
export const AUDIO_FORMATS = [
  'wav',
  'flac',
  'mp3',
  'ogg-vorbis',
  'ogg-opus',
  'mp4-aac',
  'mp4',
  'quicktime',
  'webm',
  'matroska',
  'mpeg-ts',
  'adts',
] as const;
export type AudioFormat = (typeof AUDIO_FORMATS)[number];

/** What is told apart to be decoded. */
export type AudioContainer = 'wav' | 'flac' | 'mp3' | 'ogg' | PacketContainer;

/** What holds packets of tracks, read by mediabunny. */
export type PacketContainer = 'mp4' | 'matroska' | 'mpeg-ts' | 'adts';

/** As a message to the caller names them. */
export const ACCEPTED_FORMATS_TEXT =
  'WAV, FLAC, MP3, AAC, Ogg Vorbis, Ogg Opus, MP4, M4A, QuickTime, WebM, Matroska and MPEG-TS';

/** How samples without a container are written: little endian, channels interleaved. */
export interface RawAudioFormat {
  readonly encoding: 'pcm-s16le' | 'pcm-f32le';
  /** 1,000 to 384,000. */
  readonly sampleRateHz: number;
  /** 1 to 32. */
  readonly channelCount: number;
}

/** The audio track that was decoded. */
export interface AudioTrackInfo {
  /** Among the audio's audio tracks, from 0. */
  readonly index: number;
  /** "AAC", "Opus". */
  readonly codec: string;
  /** ISO 639-2 code as the container has it, such as "eng"; empty where it does not say. */
  readonly language: string;
}

/** What is believable in a header, and accepted of a caller. */
export const SAMPLE_RATE_MIN_HZ = 1_000;
export const SAMPLE_RATE_MAX_HZ = 384_000;
export const CHANNELS_MAX = 32;
