/** Response headers that say when to retry, by lower-case name. */
type Header = (name: string) => string | undefined;

/** A larger `RateLimit-Reset` is a timestamp in seconds since 1970, as some servers send it. */
const EPOCH_SECONDS = 1_000_000_000;

/**
 * Returns the requested pause in ms; undefined if there is none. Retry-After takes precedence over the RateLimit headers, as
 * their drafts require: `RateLimit: "api";r=0;t=30` (draft-ietf-httpapi-ratelimit-headers-08 and later, as the hub sends it),
 * `RateLimit: limit=100, remaining=0, reset=30` (earlier), `RateLimit-Reset: 30` (the first drafts). A time of day is compared with the
 * server's own, its Date: this machine's clock may be wrong.
 */
export function retryAfterOf(header: Header, ownNowMs: number): number | undefined {
  const serverNowMs = Date.parse(header('date') ?? '');
  const nowMs = Number.isNaN(serverNowMs) ? ownNowMs : serverNowMs;
  return (
    parseRetryAfter(header('retry-after'), nowMs) ??
    parseRateLimit(header('ratelimit')) ??
    parseReset(header('ratelimit-reset') ?? header('x-ratelimit-reset'), nowMs)
  );
}

/** Parses a Retry-After header: seconds, or an HTTP date compared with `nowMs`. Undefined if it is missing or invalid. */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000;
  // An HTTP date contains words; Date.parse accepts many texts that are no date.
  const at = /[a-z]{3}/i.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}

/**
 * Parses a RateLimit header: the longest wait among the exhausted limits; if the limits do not say what remains, the longest of
 * all.
 */
export function parseRateLimit(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const named = value.split(/,(?=\s*"[^"]*")/).map((limit) => ({
    remaining: parameter(limit, /(?:;\s*r|\bremaining)\s*=\s*(\d{1,15})/i),
    seconds: parameter(limit, /(?:;\s*t|\breset)\s*=\s*(\d{1,15})/i),
  }));
  const usedUp = named.filter(({ remaining }) => remaining === 0 || remaining === undefined);
  const seconds = usedUp.flatMap((limit) => limit.seconds ?? []);
  return seconds.length === 0 ? undefined : Math.max(...seconds) * 1000;
}

function parseReset(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined || !/^\s*\d{1,15}(\.\d+)?\s*$/.test(value)) return undefined;
  const seconds = Number(value);
  return seconds > EPOCH_SECONDS ? Math.max(0, seconds * 1000 - nowMs) : seconds * 1000;
}

function parameter(text: string, pattern: RegExp): number | undefined {
  const digits = pattern.exec(text)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
