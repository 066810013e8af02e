/** Deadlines by a clock that nobody sets: that of the system jumps, as at boot, when its time is first known. */

/** Milliseconds of a monotonic clock. */
export const nowMs = (): number => performance.now();

/** A deadline of `nowMs` as gRPC takes it, in milliseconds since the epoch. */
export const epochMs = (deadlineMs: number): number => Date.now() + (deadlineMs - nowMs());
