import { internalTrackOf } from './internal-track.js';

/** mediabunny's internal reader of MP4 and QuickTime, in 1.61. */
interface Mp4Demuxer {
  readonly currentTrack: { readonly sampleTable: SampleTable | null } | null;
  traverseBox?(slice: Slice): boolean;
}
/** A part of the file, which is read at `bufferPos` of `view`. */
interface Slice {
  readonly view: DataView;
  readonly bufferPos: number;
  readonly remainingLength: number;
}
interface SampleTable {
  readonly sampleTimingEntries: readonly Run[];
  readonly sampleCompositionTimeOffsets: readonly Run[];
  readonly sampleToChunk: readonly { readonly startChunkIndex: number }[];
}
interface Run {
  readonly count: number;
}

/** Three minutes of PCM whose index has an entry for each value; its objects take some hundred MB. */
const SAMPLES_MAX = 10_000_000;
/** Version and flags, and the number of samples behind them. */
const TRUN_BYTES = 8;
const STZ2_BYTES = 12;
/** Flags of a `trun` that lists something for each sample, which takes bytes. */
const TRUN_LISTS = 0xf00;

/**
 * Makes mediabunny refuse an MP4 that claims a number of samples with no bytes for each: it makes an object of each, and with 4,000 million
 * of them, which are 3 kB of file, it ends the process. To be called before anything of a track's samples is read; other containers
 * have no such lists.
 */
export function limitSamples(input: object): void {
  const demuxer = internalTrackOf<{ readonly demuxer: Mp4Demuxer }>(input)?.demuxer;
  const traverse = demuxer?.traverseBox;
  if (demuxer === undefined || traverse === undefined || Object.hasOwn(demuxer, 'traverseBox')) return;
  let samples = 0;
  demuxer.traverseBox = (slice) => {
    const type = typeOf(slice);
    if (type === 'moof' || type === 'stbl') samples = 0;
    samples += claimedBy(type, slice);
    refuseAbove(samples);
    const found = traverse.call(demuxer, slice);
    const table = demuxer.currentTrack?.sampleTable;
    if (type === 'stbl' && table) refuseAbove(claimedByTable(table));
    return found;
  };
}

function refuseAbove(samples: number): void {
  if (samples > SAMPLES_MAX) throw new Error(`The MP4 claims ${samples} samples without bytes for each.`);
}

function typeOf({ view, bufferPos, remainingLength }: Slice): string {
  if (remainingLength < 8) return '';
  return String.fromCharCode(...[4, 5, 6, 7].map((at) => view.getUint8(bufferPos + at)));
}

/** The samples of a box that lists nothing for each. */
function claimedBy(type: string, { view, bufferPos, remainingLength }: Slice): number {
  const headerBytes = remainingLength >= 8 && view.getUint32(bufferPos) === 1 ? 16 : 8;
  const body = bufferPos + headerBytes;
  const left = remainingLength - headerBytes;
  if (type === 'trun' && left >= TRUN_BYTES)
    return (view.getUint32(body) & TRUN_LISTS) === 0 ? view.getUint32(body + 4) : 0;
  // Sizes of 0 bits.
  if (type === 'stz2' && left >= STZ2_BYTES) return view.getUint8(body + 7) === 0 ? view.getUint32(body + 8) : 0;
  return 0;
}

/** What is made of a table's runs: a time for each sample if it has a list of moved ones, and a packet of PCM for each chunk. */
function claimedByTable({ sampleTimingEntries, sampleCompositionTimeOffsets, sampleToChunk }: SampleTable): number {
  const moved = sum(sampleCompositionTimeOffsets.map(({ count }) => count));
  const chunks = sampleToChunk.map(
    ({ startChunkIndex }, index) => (sampleToChunk[index + 1]?.startChunkIndex ?? 0) - startChunkIndex,
  );
  const timed = sampleCompositionTimeOffsets.length === 0 ? 0 : sum(sampleTimingEntries.map(({ count }) => count));
  return Math.max(moved, timed, sum(chunks.filter((count) => count > 0)));
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}
