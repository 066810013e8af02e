import { internalTrackOf } from './internal-track.js';

/** mediabunny's internal access to a track of Matroska, in 1.61. */
interface MatroskaTrack {
  readonly demuxer: { expandLacedBlocks?(blocks: readonly Block[], track: Timing): void };
}
interface Block {
  readonly lacing: number;
  duration: number;
}
interface Timing {
  readonly defaultDuration: number | null;
}

const withoutTimes = new WeakSet<object>();

/**
 * Makes mediabunny give the frames of a block (lacing) the times that the file tells: by the duration of a frame, or else that of the
 * block to all of them. It spreads them evenly over the time to the next block, though those of Vorbis differ in length, and a pause may
 * follow. To be called before packets are read; other containers have no such blocks.
 */
export function keepLaceTimes(input: object): void {
  const demuxer = internalTrackOf<MatroskaTrack>(input)?.demuxer;
  const expand = demuxer?.expandLacedBlocks;
  if (demuxer === undefined || expand === undefined || Object.hasOwn(demuxer, 'expandLacedBlocks')) return;
  demuxer.expandLacedBlocks = (blocks, track) => {
    for (const block of blocks) {
      if (block.lacing === 0) continue;
      block.duration = 0;
      if (track.defaultDuration === null) withoutTimes.add(demuxer);
    }
    expand.call(demuxer, blocks, track);
  };
}

/** Whether frames that were read have only the time of their block: each follows the one before. */
export function haveOnlyBlockTimes(input: object): boolean {
  const demuxer = internalTrackOf<MatroskaTrack>(input)?.demuxer;
  return demuxer !== undefined && withoutTimes.has(demuxer);
}
