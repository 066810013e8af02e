import { InferenceError } from '../../../errors.js';
import { CODECS_TEXT } from '../decoders/codecs.js';
import type { PacketFormat } from '../decoders/packet-decoder.js';
import { CONVERT_ADVICE } from '../formats.js';
import { audioUnreadable } from '../undecodable.js';
import { type AudioTrack, trackText } from './audio-track.js';

export interface ChosenTrack {
  readonly track: AudioTrack;
  readonly format: PacketFormat;
  /** A warning that lists the other tracks. */
  readonly warnings: readonly string[];
}

/**
 * Returns the requested track; without a request, the default track if it can be decoded, else the first that can. Throws
 * INVALID_ARGUMENT for an index that no track has, AUDIO_UNREADABLE if the requested track, or none, can be decoded. `unknown`: names of audio that the demuxer leaves out.
 */
export function chooseTrack(
  tracks: readonly AudioTrack[],
  requested: number | undefined,
  container: string,
  unknown: readonly string[] = [],
): ChosenTrack {
  if (tracks.length === 0) {
    // Most often a video without sound, of which a conversion would only say the same.
    const found =
      unknown.length === 0
        ? 'has no audio track of a known kind: there is nothing to transcribe.'
        : `has only unsupported audio: ${unknown.join(', ')}. ${CONVERT_ADVICE}`;
    throw audioUnreadable(`The ${container} file ${found}`);
  }
  if (requested !== undefined) {
    const track = tracks[requested];
    if (track === undefined) throw noSuchTrack(requested, tracks.map(trackText));
    if (track.format === undefined) throw notDecoded(track, tracks, container);
    // A caller who requests a track knows the others.
    return { track, format: track.format, warnings: [] };
  }
  const decodable = tracks.filter(({ format }) => format !== undefined);
  const track = decodable.find(({ isDefault }) => isDefault) ?? decodable[0];
  if (track?.format === undefined) throw notDecoded(tracks[0] as AudioTrack, tracks, container);
  const others = tracks.filter((other) => other !== track);
  if (others.length === 0) return { track, format: track.format, warnings: [] };
  const left = others.map((other) => `${trackText(other)}${other.format === undefined ? ', not supported' : ''}`);
  const warning =
    `The audio has ${tracks.length} audio tracks; ${trackText(track)} was used. ` +
    `Not used: ${left.join('; ')}. Set audio_track to choose another.`;
  return { track, format: track.format, warnings: [warning] };
}

/** Creates the error for an unknown track; `tracks` are the formatted tracks. */
export function noSuchTrack(requested: number, tracks: readonly string[]): InferenceError {
  return new InferenceError(
    'INVALID_ARGUMENT',
    `options.audio_track must be the index of an audio track of this audio: ${tracks.join(', ')}; got ${requested}.`,
    { field: 'options.audio_track' },
  );
}

function notDecoded(track: AudioTrack, tracks: readonly AudioTrack[], container: string): InferenceError {
  const others = tracks.filter(({ format }) => format !== undefined).map(trackText);
  const advice = others.length === 0 ? CONVERT_ADVICE : `Choose another with audio_track: ${others.join(', ')}.`;
  const subject = tracks.length === 1 ? 'The audio' : `Audio track ${track.index}`;
  const reason = track.refusal?.message ?? `${track.codecName} is not supported; supported codecs: ${CODECS_TEXT}.`;
  return audioUnreadable(`${subject} of the ${container} file cannot be decoded: ${reason} ${advice}`);
}
