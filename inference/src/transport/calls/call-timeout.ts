/**
 * Timeouts in request headers. Node.js timers have 32 bits and fire at once for longer delays, so the libraries never
 * see a timeout above that limit, 24.8 days.
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

/** The longest timer in the format of each header. */
const LONGEST = {
  'grpc-timeout': `${Math.floor(MAX_TIMER_MS / 1000)}S`,
  'connect-timeout-ms': String(MAX_TIMER_MS),
} as const;
export type TimeoutHeader = keyof typeof LONGEST;

/** Milliseconds of a header's value. Infinity where it is absent or invalid, which the library reports. */
export function timeoutMsOf(name: TimeoutHeader, value: string | undefined): number {
  if (value === undefined) return Number.POSITIVE_INFINITY;
  if (name === 'connect-timeout-ms') return /^\d{1,10}$/.test(value) ? Number(value) : Number.POSITIVE_INFINITY;
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(value) ?? [];
  return digits === undefined ? Number.POSITIVE_INFINITY : Number(digits) * (UNIT_MS[unit ?? ''] ?? 1);
}

/** The value, limited to what a timer supports. */
export function withinTimers(name: TimeoutHeader, value: string): string {
  const ms = timeoutMsOf(name, value);
  return Number.isFinite(ms) && ms > MAX_TIMER_MS ? LONGEST[name] : value;
}
