import { InferenceError } from '../../../errors.js';
import { decodedCodecsText } from '../decoders/codecs.js';
import type { PacketFormat } from '../decoders/packet-decoder.js';
import { type AudioTrack, trackText } from './audio-track.js';

export interface ChosenTrack {
  readonly track: AudioTrack;
  readonly format: PacketFormat;
  /** What the caller should know of the tracks that were not taken. */
  readonly warnings: readonly string[];
}

/**
 * The track that is wanted; else the default one if it can be decoded, else the first that can. Throws INVALID_ARGUMENT for
 * an index that no track has, AUDIO_UNREADABLE where none can be decoded, or the wanted one cannot.
 */
export function chooseTrack(tracks: readonly AudioTrack[], wanted: number | undefined, container: string): ChosenTrack {
  if (tracks.length === 0) {
    throw new InferenceError(
      'AUDIO_UNREADABLE',
      `The ${container} file has no audio track, or none of a kind that is known. Convert it first.`,
    );
  }
  if (wanted !== undefined) {
    const track = tracks[wanted];
    if (track === undefined) throw noSuchTrack(wanted, tracks.map(trackText));
    if (track.format === undefined) throw notDecoded(track, tracks, container);
    // Whoever names a track knows of the others.
    return { track, format: track.format, warnings: [] };
  }
  const decodable = tracks.filter(({ format }) => format !== undefined);
  const track = decodable.find(({ isDefault }) => isDefault) ?? decodable[0];
  if (track?.format === undefined) throw notDecoded(tracks[0] as AudioTrack, tracks, container);
  const others = tracks.filter((other) => other !== track);
  if (others.length === 0) return { track, format: track.format, warnings: [] };
  const left = others.map(
    (other) => `${trackText(other)}${other.format === undefined ? ', which is not decoded' : ''}`,
  );
  const warning =
    `The audio has ${tracks.length} audio tracks; ${trackText(track)} was taken. ` +
    `Not taken: ${left.join('; ')}. audio_track chooses another.`;
  return { track, format: track.format, warnings: [warning] };
}

/** `tracks`: as messages name them. */
export function noSuchTrack(wanted: number, tracks: readonly string[]): InferenceError {
  return new InferenceError(
    'INVALID_ARGUMENT',
    `options.audio_track must be the index of an audio track of this audio: ${tracks.join(', ')}; got ${wanted}.`,
    { field: 'options.audio_track' },
  );
}

function notDecoded(track: AudioTrack, tracks: readonly AudioTrack[], container: string): InferenceError {
  const others = tracks.filter(({ format }) => format !== undefined).map(trackText);
  const advice = others.length === 0 ? 'Convert it first' : `Choose another with audio_track: ${others.join(', ')}`;
  const which = tracks.length === 1 ? 'its audio' : `its audio track ${track.index}`;
  const what = track.refusal?.message ?? `${track.codecName} is not decoded; decoded are ${decodedCodecsText()}.`;
  return new InferenceError(
    'AUDIO_UNREADABLE',
    `Of the ${container} file, ${which} cannot be used: ${what} ${advice}.`,
  );
}
