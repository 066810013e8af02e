import { foreignCodecName, isMpegAudio, keepLaceTimes, keepPcmPackets, limitSamples } from '@heimdex/common';
import type { AudioCodec, InputAudioTrack } from 'mediabunny';
import { type InferenceClientError, invalidOption } from '../errors.js';

/** The properties of an audio track that determine the choice. */
export interface TrackInfo {
  /** Index among the audio tracks, from 0. */
  readonly index: number;
  readonly input: InputAudioTrack;
  /** Null: unknown to mediabunny. */
  readonly codec: AudioCodec | null;
  /** Codec name in messages. */
  readonly codecName: string;
  /** Whether the server decodes it. */
  readonly isDecoded: boolean;
  /** ISO 639-2; empty if the file does not declare one. */
  readonly language: string;
  readonly isDefault: boolean;
}

/** The track to send, with warnings about the others, which the server will not see. */
export interface ChosenTrack {
  readonly track: TrackInfo;
  readonly warnings: readonly string[];
}

/** Codecs that the server decodes, in addition to `pcm-` codecs. */
const DECODED: readonly string[] = ['aac', 'opus', 'vorbis', 'mp3', 'flac', 'ulaw', 'alaw', 'ac3', 'eac3'];
/** Those unknown to mediabunny, by sample entry (MP4, QuickTime) or codec id (Matroska). They cannot be remuxed. */
const isForeignDecoded = (id: unknown) => id === 'alac' || id === 'A_ALAC' || id === 'A_MS/ACM' || isMpegAudio(id);
const NAMES: Readonly<Record<string, string>> = {
  aac: 'AAC',
  opus: 'Opus',
  vorbis: 'Vorbis',
  mp3: 'MP3',
  flac: 'FLAC',
  ulaw: 'PCM',
  alaw: 'PCM',
  ac3: 'AC-3',
  eac3: 'E-AC-3',
  dts: 'DTS',
};

/** Reads the properties of a track. */
export async function trackInfoOf(input: InputAudioTrack, index: number): Promise<TrackInfo> {
  const language = await input.getLanguageCode();
  const { default: isDefault } = await input.getDisposition();
  const codec = await input.getCodec();
  const id = await input.getInternalCodecId();
  const codecName = codec === null ? foreignCodecName(id) : codec.startsWith('pcm-') ? 'PCM' : (NAMES[codec] ?? codec);
  limitSamples(input);
  if (codecName === 'PCM') keepPcmPackets(input);
  keepLaceTimes(input);
  return {
    index,
    input,
    codec,
    codecName,
    isDecoded: codec === null ? isForeignDecoded(id) : DECODED.includes(codec) || codec.startsWith('pcm-'),
    language: language === 'und' ? '' : language,
    isDefault,
  };
}

/**
 * Chooses a track by the server's rule: the requested one, else the default track if it can be decoded, else the first
 * that can. Returns undefined if none can be decoded; the server then reports the error.
 * Throws InferenceClientError INVALID_ARGUMENT for an index out of range.
 */
export function chooseTrack(tracks: readonly TrackInfo[], requested: number | undefined): ChosenTrack | undefined {
  if (requested !== undefined) {
    const track = tracks[requested];
    if (track === undefined) throw noSuchTrack(tracks, requested);
    return { track, warnings: [] };
  }
  const decoded = tracks.filter((track) => track.isDecoded);
  const track = decoded.find(({ isDefault }) => isDefault) ?? decoded[0];
  if (track === undefined) return undefined;
  const others = tracks.filter((other) => other !== track);
  if (others.length === 0) return { track, warnings: [] };
  const left = others.map((other) => `${trackText(other)}${other.isDecoded ? '' : ', not supported'}`);
  const warning =
    `The audio has ${tracks.length} audio tracks; ${trackText(track)} was used. ` +
    `Not used: ${left.join('; ')}. Set audio_track to choose another.`;
  return { track, warnings: [warning] };
}

function trackText({ index, codecName, language }: TrackInfo): string {
  return `${index} (${[codecName, language].filter((part) => part !== '').join(', ')})`;
}

function noSuchTrack(tracks: readonly TrackInfo[], requested: number): InferenceClientError {
  const description = `must be the index of an audio track of this audio: ${tracks.map(trackText).join(', ')}; got ${requested}.`;
  return invalidOption('options.audio_track', description, 'TranscribeStream');
}
