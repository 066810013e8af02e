import type { TimedBlock } from '../decoders/packet-decoder.js';
import type { Edit, IndexedTrack } from './mp4-index.js';

/**
 * Maps blocks of a track's media to the times of an edit list, cut to its entries: encoders put their delay before the first
 * and their padding after the last, editors remove what is between two. Entries that go back in the media are skipped, since it
 * is read once, forward; `reordered` reports them.
 */
export class EditList {
  readonly reordered: boolean;
  readonly #edits: readonly Edit[];

  static of(track: IndexedTrack | undefined): EditList {
    const { edits = [], gapless } = track ?? {};
    return edits.length > 0 || gapless === undefined ? new EditList(edits) : new EditList([gapless], 0);
  }

  /** `subtractedSeconds`: what the demuxer has subtracted from every time, by default the start of the first entry. */
  private constructor(
    edits: readonly Edit[],
    private readonly subtractedSeconds?: number,
  ) {
    const forward: Edit[] = [];
    let end = 0;
    for (const edit of edits) {
      // Tolerance of half a millisecond: the two clocks of a list round differently.
      if (edit.mediaSeconds < end - 5e-4) continue;
      forward.push(edit);
      end = edit.mediaSeconds + edit.seconds;
    }
    this.#edits = forward;
    this.reordered = forward.length < edits.length;
  }

  /** Restores the media's times: mediabunny subtracts the start of the first entry from every time. */
  get offsetSeconds(): number {
    const first = this.#edits[0];
    return this.subtractedSeconds ?? (first === undefined ? 0 : first.mediaSeconds - first.movieSeconds);
  }

  /** Maps a block; its `timestampSeconds` is that of the media. */
  place(block: TimedBlock): readonly TimedBlock[] {
    if (this.#edits.length === 0) return [block];
    const { channels, sampleRateHz } = block;
    const length = channels[0]?.length ?? 0;
    const samplesTo = (mediaSeconds: number) =>
      Math.min(length, Math.max(0, Math.round((mediaSeconds - block.timestampSeconds) * sampleRateHz)));
    const placed: TimedBlock[] = [];
    for (const { mediaSeconds, movieSeconds, seconds } of this.#edits) {
      const from = samplesTo(mediaSeconds);
      const to = samplesTo(mediaSeconds + seconds);
      if (from >= to) continue;
      const timestampSeconds = block.timestampSeconds + from / sampleRateHz - mediaSeconds + movieSeconds;
      placed.push({ channels: channels.map((samples) => samples.subarray(from, to)), sampleRateHz, timestampSeconds });
    }
    return placed;
  }
}
