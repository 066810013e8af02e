/** What counts as a jump of an audio track's clock, for the server that ignores it and for the client that copies the track. */

/** Smaller overlaps are ignored: to drop them would lose speech, and a hole filled by jitter is followed by one. */
export const OVERLAP_MIN_SECONDS = 0.15;
/** Larger steps back are jumps of the clock, not overlaps. */
export const BACK_MAX_SECONDS = 1;
/** Times before this are at the beginning of a file. Of files that were joined, each begins at 0: a step back to it is no overlap. */
export const BEGINNING_SECONDS = 0.1;

/** The warning of a jump by `seconds`, where `atSeconds` of audio were read. */
export function clockJump(direction: 'back' | 'forward', seconds: number, atSeconds: number): string {
  const by = seconds.toFixed(seconds < 1 ? 2 : 0);
  return `The audio's clock jumps ${direction} by ${by} s at ${atSeconds.toFixed(2)} s; the gap was ignored.`;
}
