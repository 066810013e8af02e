import { internalTrackOf } from './internal-track.js';

/** mediabunny's internal access to a track of an MP4, in 1.61. */
interface Mp4Track {
  readonly info: { codec: string | null; readonly sampleRate: number };
  readonly timescale: number;
  sampleTable: SampleTable | null;
  readonly demuxer: { getSampleTableForTrack?(track: Mp4Track): SampleTable };
}
interface SampleTable {
  readonly sampleTimingEntries: readonly { readonly delta: number }[];
}

/**
 * Makes mediabunny read the samples of PCM in MP4 and QuickTime as they are listed. It takes each for one value per channel, as most
 * writers mean; those that packets of PCM come to, as GStreamer and cameras, list each packet as a sample, and nearly all of them would be
 * lost. To be called for a track of PCM before its packets are read; other containers have no such list.
 */
export function keepPcmPackets(input: object): void {
  const track = internalTrackOf<Mp4Track>(input);
  if (track?.demuxer.getSampleTableForTrack === undefined) return;
  const { info, timescale } = track;
  const { codec } = info;
  // It counts the values of a codec that it knows to be PCM.
  info.codec = null;
  const [first] = track.demuxer.getSampleTableForTrack(track).sampleTimingEntries;
  info.codec = codec;
  const values = first === undefined ? 1 : (first.delta * info.sampleRate) / timescale;
  if (values < 2) track.sampleTable = null;
}
