import { DownloaderError } from '../errors.js';
import { type Asked, answerError } from './answers.js';
import type { HttpAnswer, HttpClient } from './http.js';
import { TransientError } from './retry.js';

/** A host that is trusted with the token, and how to ask it. */
export interface Origin {
  readonly endpoint: URL;
  /** Sent to the endpoint's own origin and to no other. */
  readonly token: string | undefined;
}

/** Redirects followed for one request; the hub makes one or two. */
const MAX_REDIRECTS = 8;

/** The header that carries the token, only for addresses of the origin itself: same scheme, host and port. */
export function authorization(url: URL, origin: Origin): Record<string, string> {
  if (origin.token === undefined || url.origin !== origin.endpoint.origin) return {};
  return { authorization: `Bearer ${origin.token}` };
}

/**
 * GETs an address, following redirects, up to an answer that is none, whatever its status. The token leaves with the
 * first hop to another origin and does not come back.
 */
export async function getFollowing(
  http: HttpClient,
  url: URL,
  origin: Origin,
  headers: Readonly<Record<string, string>>,
  asked: Asked,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  let current = url;
  let trusted = true;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop += 1) {
    const auth = trusted ? authorization(current, origin) : {};
    const answer = await http.get(current, { ...headers, ...auth }, signal);
    if (answer.status < 300 || answer.status >= 400) return answer;
    answer.close();
    const next = redirectTarget(answer);
    if (next.origin !== origin.endpoint.origin) trusted = false;
    current = next;
  }
  throw new DownloaderError(
    'REDIRECT_REFUSED',
    `${url.host} redirects ${asked.what} in a circle (more than ${MAX_REDIRECTS} times). Check HF_ENDPOINT, then run: heimdex-downloader download`,
  );
}

/**
 * Lets a 2xx answer pass.
 *
 * @throws DownloaderError or TransientError for any other.
 */
export function expectOk(answer: HttpAnswer, asked: Asked, hasToken: boolean): HttpAnswer {
  if (answer.status >= 200 && answer.status < 300) return answer;
  answer.close();
  throw answerError(answer, asked, hasToken);
}

/**
 * Where a 3xx answer points.
 *
 * @throws DownloaderError REDIRECT_REFUSED for a target that is not http(s), or that would leave https for http.
 */
export function redirectTarget(answer: HttpAnswer): URL {
  const location = answer.header('location');
  const target =
    location !== undefined && URL.canParse(location, answer.url.href) ? new URL(location, answer.url) : undefined;
  if (target === undefined) {
    const final = new DownloaderError(
      'ANSWER_INVALID',
      `${answer.url.host} answered ${answer.status} without a usable Location. Check HF_ENDPOINT, then run: heimdex-downloader download`,
    );
    throw new TransientError(final);
  }
  const downgrade = answer.url.protocol === 'https:' && target.protocol !== 'https:';
  if (downgrade || (target.protocol !== 'https:' && target.protocol !== 'http:')) {
    throw new DownloaderError(
      'REDIRECT_REFUSED',
      `${answer.url.host} redirects from ${answer.url.protocol}// to ${target.protocol}//${target.host}, which is refused. Check HF_ENDPOINT, then run: heimdex-downloader download`,
    );
  }
  return target;
}
