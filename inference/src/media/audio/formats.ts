/** Accepted audio formats, as listed by GetServerInfo. Detected by content, never by file name. */
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
  'aiff',
  'au',
  'caf',
] as const;
export type AudioFormat = (typeof AUDIO_FORMATS)[number];

/** The formats that detection distinguishes. */
export type AudioContainer = 'wav' | 'flac' | 'mp3' | 'ogg' | 'aiff' | 'au' | 'caf' | PacketContainer;

/** Containers with packets, demuxed by mediabunny. */
export type PacketContainer = 'mp4' | 'matroska' | 'mpeg-ts' | 'adts';

/** The accepted formats, for messages to the caller. */
export const ACCEPTED_FORMATS_TEXT =
  'WAV, AIFF, AU, CAF, FLAC, MP3, AAC, Ogg Vorbis, Ogg Opus, MP4, M4A, QuickTime, WebM, Matroska and MPEG-TS';

/** What to do with audio that cannot be decoded. */
export const CONVERT_ADVICE = 'Convert it: `ffmpeg -i IN -vn -c:a flac OUT.flac`.';

/** What sends a file whose audio cannot be decoded as it arrives. The clients in other languages send the file as it is. */
export const ONLY_AUDIO_ADVICE =
  'or use `heimdex transcribe FILE` (in TypeScript transcribeFile), which sends only the audio track';

/** Format of samples without a container: little endian, interleaved channels. */
export interface RawAudioFormat {
  readonly encoding: 'pcm-s16le' | 'pcm-f32le';
  /** 1,000 to 384,000. */
  readonly sampleRateHz: number;
  /** 1 to 32. */
  readonly channelCount: number;
}

/** The audio track that was decoded. */
export interface AudioTrackInfo {
  /** Index among the audio tracks, from 0. */
  readonly index: number;
  /** Codec name, such as "AAC" or "Opus". */
  readonly codec: string;
  /** ISO 639-2 code from the container, such as "eng"; empty if unknown. */
  readonly language: string;
}

/** Accepted ranges, of headers and of callers. */
export const SAMPLE_RATE_MIN_HZ = 1_000;
export const SAMPLE_RATE_MAX_HZ = 384_000;
export const CHANNELS_MAX = 32;

/** Why a header's channels or rate are not accepted; undefined if they are. */
export function unsupportedFormat(channelCount: number, sampleRateHz: number): string | undefined {
  if (!(channelCount >= 1 && channelCount <= CHANNELS_MAX)) {
    return `unsupported channel count ${channelCount}, expected 1 to ${CHANNELS_MAX}`;
  }
  if (sampleRateHz >= SAMPLE_RATE_MIN_HZ && sampleRateHz <= SAMPLE_RATE_MAX_HZ) return undefined;
  return `unsupported sample rate ${sampleRateHz} Hz, expected ${SAMPLE_RATE_MIN_HZ} to ${SAMPLE_RATE_MAX_HZ}`;
}
