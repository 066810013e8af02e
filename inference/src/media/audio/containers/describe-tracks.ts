import type { Input } from 'mediabunny';
import { audioUnreadable } from '../undecodable.js';
import type { ArrivingSource } from './arriving-source.js';
import { type AudioTrack, describeTrack } from './audio-track.js';
import type { ContainerFormat } from './container-formats.js';
import { findMoov } from './find-moov.js';
import { type Mp4Index, readMp4Index } from './mp4-index.js';

/** The index of a container. */
export interface TrackIndex {
  readonly tracks: readonly AudioTrack[];
  readonly mp4: Mp4Index | undefined;
  /** Offset after the index of an MP4 with fragments, where they begin; undefined if there are none. */
  readonly fragmentsOffset: number | undefined;
  /** The container's time at the beginning of the audio. */
  readonly originSeconds: number;
}

/** Reads the index and marks it as read in the source. Throws the library's errors. */
export async function describeTracks(
  input: Input,
  source: ArrivingSource,
  container: ContainerFormat,
): Promise<TrackIndex> {
  const moov = container.hasMoov ? await findMoov(source) : undefined;
  if (container.hasMoov && moov === undefined) {
    throw audioUnreadable(
      `The ${container.name} file cannot be read: its index (moov) is missing or damaged. Send the complete file.`,
    );
  }
  const mp4 = moov === undefined ? undefined : readMp4Index(moov.body);
  const inputs = await audioTracksOf(input, mp4, container);
  const originSeconds = container.broadcastClock ? await input.getFirstTimestamp() : 0;
  const tracks = await Promise.all(
    inputs.map((track, index) => describeTrack(track, index, mp4?.tracks.get(track.id))),
  );
  source.opened();
  const fragmentsOffset = mp4?.fragmented === true ? moov?.end : undefined;
  return { tracks, mp4, fragmentsOffset, originSeconds };
}

async function audioTracksOf(input: Input, mp4: Mp4Index | undefined, container: ContainerFormat) {
  try {
    return await input.getAudioTracks();
  } catch (error) {
    // The library fails on some kinds of encryption.
    if (![...(mp4?.tracks.values() ?? [])].some(({ encrypted }) => encrypted)) throw error;
    throw audioUnreadable(`The audio of the ${container.name} file is encrypted.`, error);
  }
}
