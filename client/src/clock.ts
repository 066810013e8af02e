/** Deadlines by a clock that nobody sets: that of the system jumps, as at boot, when its time is first known. */

/** Milliseconds of a monotonic clock. */
export const nowMs = (): number => performance.now();

/**
 * A deadline of `nowMs` as gRPC takes it, in whole milliseconds since the epoch: never before it. A wait that ended a millisecond early left
 * time for another attempt.
 */
export const epochMs = (deadlineMs: number): number => Date.now() + 1 + Math.ceil(deadlineMs - nowMs());
