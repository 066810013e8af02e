import type { OggCodec, OggPage } from './ogg-pages.js';
import { opusPreSkip } from './opus.js';

/** Offset of OpusHead in a page with one segment of its size. */
export const OPUS_HEAD_OFFSET = 28;
/** Longer losses are a jump of the positions, not missing pages. */
const LOST_MAX_SAMPLES = 3_600 * 48_000;

/** The positions of a page and the next differ by more than this part of the page's samples. */
const COUNTED_LEAST = 0.6;

/** Samples of a block that are before the stream's beginning, or that are lost before it. */
export interface OggPlace {
  readonly early: number;
  readonly lost: number;
}

/**
 * Compares decoded samples with the positions ("granules") of the pages of one stream. The libraries return the samples of a page
 * when they get the next one, and ignore its position:
 *
 * - Samples before position 0 are no part of a Vorbis stream (Vorbis I, A.2). ffmpeg cuts Ogg (`-ss TIME -c copy`) at the page
 *   before the time and gives it negative positions, so that its samples up to the time are left out; ffmpeg itself plays them.
 * - A stream that begins later than 0 is a part of a broadcast, and begins at once.
 * - Where the numbers of the pages have a gap, the positions tell how much is missing.
 */
export class OggTimes {
  #page: OggPage | undefined;
  /** Samples since the last page with a position. */
  #samples = 0;
  #position: number | undefined;
  #afterLoss = false;

  private constructor(private readonly preSkip: number) {}

  /** `page`: the first of the stream. */
  static of(codec: OggCodec, page: Uint8Array): OggTimes {
    return new OggTimes(codec === 'opus' ? opusPreSkip(page.subarray(OPUS_HEAD_OFFSET)) : 0);
  }

  /** Tells the page that the decoder has got. */
  next(page: OggPage): void {
    if (page.granule !== undefined && page.begins === undefined) this.#page = page;
    this.#afterLoss ||= page.afterLoss;
  }

  /** Places a block of samples, which are those of the last page told; `after`: the page that follows it. */
  place(samples: number, after: OggPage | undefined): OggPlace {
    const page = this.#page;
    const before = this.#position;
    this.#samples += samples;
    if (page?.granule === undefined || page.granule === before) return { early: 0, lost: 0 };
    const beginning = page.granule - this.#samples;
    this.#position = page.granule;
    this.#samples = 0;
    const lossy = this.#afterLoss;
    this.#afterLoss = false;
    if (before === undefined) {
      // A writer that counts in other units than samples would seem to begin early.
      const counted = after?.granule !== undefined && after.granule - page.granule > COUNTED_LEAST * samples;
      const early = counted ? this.preSkip - beginning : 0;
      return { early: Math.min(samples, Math.max(0, early)), lost: 0 };
    }
    const lost = beginning - before;
    return { early: 0, lost: lossy && lost > 0 && lost <= LOST_MAX_SAMPLES ? lost : 0 };
  }
}
