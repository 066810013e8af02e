/** A limit on a decoder that itself knows only the clock on the wall. */

export interface DecodeLimit {
  /** Most work for an image, seconds of processor time. */
  readonly seconds: number;
  /** Whether an attempt ended because its time was up. */
  isTimeUp(error: unknown): boolean;
  /** Processor time that this process has used so far, milliseconds. Default: as the system counts it. */
  readonly cpuMs?: () => number;
}

/** However busy the machine is, the decoder is given no more; it is also the most that sharp takes. */
const MAX_SECONDS = 3600;
/** A process that used less than this part of an attempt's limit was kept from working. */
const WORKED_PART = 0.5;

/**
 * Runs `attempt` with a limit in seconds of time. Where the time was up and this process has hardly worked, for the machine is
 * busy, that says nothing of the image: it is tried again with twice the time. Rejects as the last attempt did.
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
