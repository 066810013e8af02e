import { internalTrackOf } from './internal-track.js';

/** mediabunny's internal access to a track of an MP4, in 1.61. */
interface Mp4Track {
  readonly demuxer: { getSampleTableForTrack?(track: Mp4Track): SampleTable };
}
interface SampleTable {
  /** One for all, or one for each sample. */
  readonly sampleSizes: readonly number[];
  chunkOffsets: readonly number[];
  /** In order; each holds up to the chunk at which the next begins. */
  sampleToChunk: readonly ChunkEntry[];
}
interface ChunkEntry {
  readonly startSampleIndex: number;
  readonly startChunkIndex: number;
  readonly samplesPerChunk: number;
}

/** Most writers put a second or less into a chunk. */
const CHUNK_SAMPLES = 100;

/**
 * Makes mediabunny read a chunk of many samples in MP4 and QuickTime as several. For each packet it adds up the sizes of as many samples as
 * the index claims for its chunk: a file of one chunk takes quadratic time, one that claims 4,000 million seconds for a packet. To be
 * called before packets are read; other containers have no such list.
 */
export function splitChunks(input: object): void {
  const track = internalTrackOf<Mp4Track>(input);
  const table = track?.demuxer.getSampleTableForTrack?.(track);
  const isLong = ({ samplesPerChunk }: ChunkEntry) => samplesPerChunk > CHUNK_SAMPLES;
  if (table === undefined || table.sampleSizes.length === 1 || !table.sampleToChunk.some(isLong)) return;
  const { sampleSizes, chunkOffsets, sampleToChunk } = table;
  const entries: ChunkEntry[] = [];
  const offsets: number[] = [];
  let sample = 0;
  for (const [index, { startChunkIndex, startSampleIndex, samplesPerChunk }] of sampleToChunk.entries()) {
    // A damaged list may go back.
    if (startSampleIndex !== sample) break;
    const nextChunk = sampleToChunk[index + 1]?.startChunkIndex ?? chunkOffsets.length;
    for (let chunk = startChunkIndex; chunk < Math.min(nextChunk, chunkOffsets.length); chunk++) {
      const end = Math.min(sample + samplesPerChunk, sampleSizes.length);
      let offset = chunkOffsets[chunk] ?? 0;
      while (sample < end) {
        const count = Math.min(CHUNK_SAMPLES, end - sample);
        entries.push({ startSampleIndex: sample, startChunkIndex: offsets.length, samplesPerChunk: count });
        offsets.push(offset);
        for (const last = sample + count; sample < last; sample++) offset += sampleSizes[sample] ?? 0;
      }
    }
  }
  table.sampleToChunk = entries;
  table.chunkOffsets = offsets;
}
