import { isUtf8 } from 'node:buffer';
import { hasCredentials } from '@heimdex/cache';
import { DownloaderError } from '../errors.js';
import { answerError, type Origin, type RequestTarget } from './answers.js';
import type { HttpAnswer, HttpClient } from './http.js';
import { TransientError } from './retry.js';

/** Maximum redirects per request; the hub uses one or two. */
const MAX_REDIRECTS = 8;

/**
 * Returns the header with the token, or with the endpoint's user and password, which its own links do not repeat, only for addresses of the
 * origin itself: same scheme, host and port.
 */
function authorization(url: URL, { endpoint, token }: Origin): Record<string, string> {
  if (url.origin !== endpoint.origin) return {};
  if (token !== undefined) return { authorization: `Bearer ${token.value}` };
  if (!hasCredentials(endpoint)) return {};
  const credentials = [endpoint.username, endpoint.password].map(decodeURIComponent).join(':');
  return { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` };
}

/**
 * GETs an address and follows redirects up to the first other answer, whatever its status. The token is dropped at the first
 * hop to another origin and stays dropped.
 */
export async function getFollowing(
  http: HttpClient,
  url: URL,
  origin: Origin,
  headers: Readonly<Record<string, string>>,
  target: RequestTarget,
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
    `${url.host} redirects ${target.what} more than ${MAX_REDIRECTS} times. Check HF_ENDPOINT, then run: heimdex-downloader download`,
  );
}

/**
 * Returns a 2xx answer.
 * Throws DownloaderError or TransientError for any other.
 */
export function expectOk(answer: HttpAnswer, target: RequestTarget, origin: Origin): HttpAnswer {
  if (answer.status >= 200 && answer.status < 300) return answer;
  answer.close();
  throw answerError(answer, target, origin);
}

/**
 * Returns the target of a 3xx answer.
 * Throws DownloaderError REDIRECT_REFUSED for a target that is not http(s), or for a redirect from https to http.
 */
function redirectTarget(answer: HttpAnswer): URL {
  // Node.js takes each byte of a header for a character, and some servers write UTF-8 there.
  const bytes = Buffer.from(answer.header('location') ?? '', 'latin1');
  const location = bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1');
  const target = location !== '' && URL.canParse(location, answer.url.href) ? new URL(location, answer.url) : undefined;
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
