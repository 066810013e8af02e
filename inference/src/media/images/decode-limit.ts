/** A processor-time limit for a decoder that supports only wall-clock limits. */

export interface DecodeLimit {
  /** Maximum processor time per image, in seconds. */
  readonly seconds: number;
  /** Whether an attempt ended by its time limit. */
  isTimeUp(error: unknown): boolean;
  /** Processor time used by this process so far, in milliseconds. Default: from the system. */
  readonly cpuMs?: () => number;
}

/** Maximum limit on a busy machine; also the maximum that sharp accepts. */
const MAX_SECONDS = 3600;
/** A process that used less than this fraction of an attempt's limit did not get the CPU. */
const WORKED_PART = 0.5;

/**
 * Runs `attempt` with a limit in seconds. If it timed out while this process hardly got the CPU, the time says nothing
 * about the image, so it is retried with twice the limit. Rejects with the last attempt's error.
 */
export async function decodeWithin<T>(limit: DecodeLimit, attempt: (seconds: number) => Promise<T>): Promise<T> {
  const cpuMs = limit.cpuMs ?? ownCpuMs;
  for (let seconds = limit.seconds; ; seconds = Math.min(MAX_SECONDS, seconds * 2)) {
    const beforeMs = cpuMs();
    try {
      return await attempt(seconds);
    } catch (error) {
      const worked = cpuMs() - beforeMs >= limit.seconds * 1000 * WORKED_PART;
      if (worked || seconds >= MAX_SECONDS || !limit.isTimeUp(error)) throw error;
    }
  }
}

function ownCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
