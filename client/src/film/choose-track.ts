import type { AudioCodec, InputAudioTrack } from 'mediabunny';
import { InferenceClientError } from '../errors.js';

/** An audio track of a film, as far as the choice goes by it. */
export interface FilmTrack {
  /** Among the audio tracks, from 0. */
  readonly index: number;
  readonly input: InputAudioTrack;
  readonly codec: AudioCodec | null;
  /** ISO 639-2; empty where the film does not say. */
  readonly language: string;
  readonly isDefault: boolean;
}

/** The track to send, and what the server, which will see it alone, cannot say of the others. */
export interface ChosenTrack {
  readonly track: FilmTrack;
  readonly warnings: readonly string[];
}

/** What the server decodes; the choice of a track goes by it. `pcm-` codecs and those of telephones as well. */
const DECODED: readonly string[] = ['aac', 'opus', 'vorbis', 'mp3', 'flac', 'ulaw', 'alaw', 'ac3', 'eac3'];
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

/** Reads what the choice goes by. */
export async function filmTrackOf(input: InputAudioTrack, index: number): Promise<FilmTrack> {
  const language = await input.getLanguageCode();
  const { default: isDefault } = await input.getDisposition();
  return { index, input, codec: await input.getCodec(), language: language === 'und' ? '' : language, isDefault };
}

/**
 * The server's rule: the wanted track, else the default one if it is decoded, else the first that is. Undefined: none is
 * decoded, and the server is to say so.
 *
 * @throws InferenceClientError INVALID_ARGUMENT for an index that no track has
 */
export function chooseTrack(tracks: readonly FilmTrack[], wanted: number | undefined): ChosenTrack | undefined {
  if (wanted !== undefined) {
    const track = tracks[wanted];
    if (track === undefined) throw noSuchTrack(tracks, wanted);
    return { track, warnings: [] };
  }
  const decoded = tracks.filter(isDecoded);
  const track = decoded.find(({ isDefault }) => isDefault) ?? decoded[0];
  if (track === undefined) return undefined;
  const others = tracks.filter((other) => other !== track);
  if (others.length === 0) return { track, warnings: [] };
  const left = others.map((other) => `${trackText(other)}${isDecoded(other) ? '' : ', not supported'}`);
  const warning =
    `The audio has ${tracks.length} audio tracks; ${trackText(track)} was used. ` +
    `Not used: ${left.join('; ')}. Set audio_track to choose another.`;
  return { track, warnings: [warning] };
}

function isDecoded({ codec }: FilmTrack): boolean {
  return codec !== null && (DECODED.includes(codec) || codec.startsWith('pcm-'));
}

function trackText({ index, codec, language }: FilmTrack): string {
  const name = codec === null ? 'an unknown codec' : codec.startsWith('pcm-') ? 'PCM' : (NAMES[codec] ?? codec);
  return `${index} (${[name, language].filter((part) => part !== '').join(', ')})`;
}

function noSuchTrack(tracks: readonly FilmTrack[], wanted: number): InferenceClientError {
  const field = 'options.audio_track';
  const description = `must be the index of an audio track of this audio: ${tracks.map(trackText).join(', ')}; got ${wanted}.`;
  return new InferenceClientError('INVALID_ARGUMENT', `${field} ${description}`, {
    reason: 'INVALID_ARGUMENT',
    violations: [{ field, description }],
    method: 'TranscribeStream',
  });
}
