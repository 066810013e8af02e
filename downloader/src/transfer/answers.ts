import { hasCredentials } from '@heimdex/cache';
import { DownloaderError } from '../errors.js';
import type { HttpAnswer } from './http.js';
import { retryAfterOf } from './rate-limit.js';
import { mayPass, TransientError } from './retry.js';

/** A token of the hub. */
export interface Token {
  readonly value: string;
  /** The variable or the file that it was read from, for messages. */
  readonly from: string;
}

/** A host trusted with the token, and how to access it. */
export interface Origin {
  readonly endpoint: URL;
  /** Sent only to the endpoint's own origin. */
  readonly token: Token | undefined;
}

/** The requested resource, for messages. */
export interface RequestTarget {
  /** Such as `the file onnx/model.onnx of org/name at 0123abcd`. */
  readonly what: string;
  /** Page where a user accepts a licence or sees the files; undefined for an address outside the hub. */
  readonly page: string | undefined;
}

/**
 * Returns the error for an answer other than 2xx.
 *
 * @param origin - What was asked: without a token the advice is to set it, with one to check its permissions.
 */
export function answerError(answer: HttpAnswer, target: RequestTarget, origin: Origin): Error {
  const { status, from: host } = answer;
  if (mayPass(status)) return transientError(answer, target);
  const reason = answer.header('x-error-code');
  const code = reason === undefined ? `${status}` : `${status}, ${reason}`;
  const said = answer.header('x-error-message');
  const webPage = webPageHint(answer);
  const detail = said === undefined ? webPage : ` The hub says: ${printable(said).replace(/\.$/, '')}.`;
  const hasToken = origin.token !== undefined && isOwn(answer, origin);
  // A hub that wants a token says so in a text.
  const wantsToken = status === 401 || (status === 403 && !hasToken && webPage === '');
  if (wantsToken) return authError(answer, target, origin, detail);
  switch (status) {
    case 403: {
      const licence =
        target.page === undefined || !hasToken
          ? ''
          : ` If it requires accepting a licence, do so at ${target.page} with the account that owns the token in ${origin.token?.from}.`;
      return new DownloaderError(
        'ACCESS_DENIED',
        `${host} refuses ${target.what} (${code}).${detail}${licence} Then run: heimdex-downloader download`,
      );
    }
    case 404:
    case 410:
      return new DownloaderError(
        'NOT_FOUND',
        `${host} does not know ${target.what} (${code}).${detail} Check the name and the revision, and HF_ENDPOINT if it names a mirror, then run: heimdex-downloader plan`,
      );
    case 416:
      return new DownloaderError(
        'SIZE_MISMATCH',
        `${host} has fewer bytes of ${target.what} than its file list states (416). Nothing was published. Check HF_ENDPOINT and any proxy in between, then run: heimdex-downloader download`,
      );
    default:
      return new DownloaderError(
        'ANSWER_INVALID',
        `${host} answered ${status} for ${target.what}, expected 200.${detail} Check HF_ENDPOINT and the proxy variables, then run: heimdex-downloader download`,
      );
  }
}

function transientError({ status, from, url, header }: HttpAnswer, { what }: RequestTarget): TransientError {
  const isLimited = status === 429;
  const tooMany = isLimited ? ' (too many requests)' : '';
  const orDirectly = from === url.host ? '' : `, or add ${url.hostname} to NO_PROXY if it needs no proxy`;
  const final = new DownloaderError(
    isLimited ? 'RATE_LIMITED' : 'SERVER_FAILED',
    `${from} answered ${status} for ${what}${tooMany}. Run the command again later${orDirectly}: it resumes where it stopped.`,
  );
  return new TransientError(final, retryAfterOf(header, Date.now()), isLimited || status === 503 ? 'busy' : undefined);
}

/** Returns a sentence for messages if an answer is a web page; empty if not. What a hub sends to programs is JSON, text or bytes. */
export function webPageHint({ url, header }: Pick<HttpAnswer, 'url' | 'header'>): string {
  if (!/^text\/html\b/i.test(header('content-type') ?? '')) return '';
  return ` The answer is a web page, as of a firewall, a proxy or a login: open ${url.origin}${url.pathname} in a browser.`;
}

/** Whether an answer is the origin's own: another one that it redirects to gets no token and no password. */
function isOwn(answer: HttpAnswer, { endpoint }: Origin): boolean {
  return answer.url.origin === endpoint.origin;
}

function authError(answer: HttpAnswer, target: RequestTarget, origin: Origin, detail: string): DownloaderError {
  const host = answer.from;
  if (hasCredentials(answer.url)) {
    return new DownloaderError(
      'AUTH_REQUIRED',
      `${host} rejects the user and the password of its address for ${target.what} (${answer.status}).${detail} Correct them in HF_ENDPOINT or the manifest, then run: heimdex-downloader download`,
    );
  }
  const login = `${host} requires a login for ${target.what} (${answer.status}).${detail}`;
  if (target.page === undefined) {
    return new DownloaderError(
      'AUTH_REQUIRED',
      `${login} No token is sent to an address outside of the hub: write a user and a password into it in the manifest, or name another source there, then run: heimdex-downloader download`,
    );
  }
  if (!isOwn(answer, origin) && (origin.token !== undefined || hasCredentials(origin.endpoint))) {
    return new DownloaderError(
      'AUTH_REQUIRED',
      `${login} ${origin.endpoint.host} redirects there, and only the host of HF_ENDPOINT gets the token or the password. If that is your hub, name it in HF_ENDPOINT, then run: heimdex-downloader download`,
    );
  }
  const takesPassword = /^basic\b/i.test(answer.header('www-authenticate') ?? '');
  const orPassword = takesPassword ? ', or write a user and a password into HF_ENDPOINT' : '';
  const advice =
    origin.token !== undefined
      ? `The token in ${origin.token.from} was rejected: create a new one with read access, or remove it if the repository is public${orPassword}`
      : `It is private, requires accepting a licence, or is misspelt (the hub does not say which): check the name and set HF_TOKEN${orPassword}`;
  return new DownloaderError(
    'AUTH_REQUIRED',
    `${login} ${advice}, see ${target.page}, then run: HF_TOKEN=hf_... heimdex-downloader download`,
  );
}

/** Returns a header's text for a message, truncated and without control characters. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 300);
}
