import { internalTrackOf } from './internal-track.js';

/** The part of mediabunny's tracks that is used. */
interface Track {
  getDurationFromMetadata(): Promise<number | null>;
}
/** mediabunny's internal access to a track of an MP4, in 1.61. */
interface Mp4Track {
  readonly durationInMediaTimescale?: number;
}

/** All bits set, in 32 and in 64 bits: the writer did not know the duration (ISO 14496-12, 8.4.2.3). */
const UNKNOWN: readonly unknown[] = [2 ** 32 - 1, 2 ** 64];

/** The duration that a container declares for a track, seconds; null if it declares none. mediabunny takes "unknown" for 24 hours and more. */
export async function declaredDuration(input: Track): Promise<number | null> {
  if (UNKNOWN.includes(internalTrackOf<Mp4Track>(input)?.durationInMediaTimescale)) return null;
  const seconds = await input.getDurationFromMetadata();
  // Matroska's is a float.
  return Number.isFinite(seconds) ? seconds : null;
}
