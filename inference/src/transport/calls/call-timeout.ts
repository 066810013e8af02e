/**
 * How long a caller waits, as its headers say it. Timers of Node.js have 32 bits: a longer delay fires at once. So what reaches the
 * libraries is never longer than that, 24.8 days.
 */

/** setTimeout's largest delay. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

/** What the longest timer is in each header. */
const LONGEST = {
  'grpc-timeout': `${Math.floor(MAX_TIMER_MS / 1000)}S`,
  'connect-timeout-ms': String(MAX_TIMER_MS),
} as const;
export type TimeoutHeader = keyof typeof LONGEST;

/** Milliseconds of a header's value; Infinity where there is none, or none that can be read: that is for the library to say. */
export function timeoutMsOf(name: TimeoutHeader, value: string | undefined): number {
  if (value === undefined) return Number.POSITIVE_INFINITY;
  if (name === 'connect-timeout-ms') return /^\d{1,10}$/.test(value) ? Number(value) : Number.POSITIVE_INFINITY;
  // As grpc-js reads it, which does not mind what stands around it.
  const [, digits, unit] = /(\d{1,8})\s*([HMSmun])/.exec(value) ?? [];
  return digits === undefined ? Number.POSITIVE_INFINITY : Number(digits) * (UNIT_MS[unit ?? ''] ?? 1);
}

/** The value as a timer can keep it. */
export function withinTimers(name: TimeoutHeader, value: string): string {
  const ms = timeoutMsOf(name, value);
  return Number.isFinite(ms) && ms > MAX_TIMER_MS ? LONGEST[name] : value;
}
