import { DownloaderError } from '../errors.js';
import type { HttpAnswer } from './http.js';
import { retryAfterOf } from './rate-limit.js';
import { TransientError } from './retry.js';

/** What was asked for, for messages. */
export interface Asked {
  /** Such as `the file onnx/model.onnx of org/name at 0123abcd`. */
  readonly what: string;
  /** Where a person accepts a licence or sees the files; undefined for an address that is not the hub's. */
  readonly page: string | undefined;
}

const MAY_PASS = new Set([408, 429, 500, 502, 503, 504]);

/** Whether a status is worth another attempt. */
export function mayPass(status: number): boolean {
  return MAY_PASS.has(status);
}

/**
 * The error that an answer other than 2xx means.
 *
 * @param hasToken - Whether a token was sent: without one the advice is to set it, with one to look at its rights.
 */
export function answerError(answer: HttpAnswer, asked: Asked, hasToken: boolean): Error {
  const { status } = answer;
  const host = answer.url.host;
  if (mayPass(status)) {
    const limited = status === 429;
    const final = new DownloaderError(
      limited ? 'RATE_LIMITED' : 'SERVER_FAILED',
      `${host} answered ${status} for ${asked.what}${limited ? ' (too many requests)' : ''}. Run the command again later: it continues where it stopped.`,
    );
    return new TransientError(
      final,
      retryAfterOf((name) => answer.header(name), Date.now()),
    );
  }
  const reason = answer.header('x-error-code');
  const said = answer.header('x-error-message');
  const detail = said === undefined ? '' : ` The hub says: ${printable(said).replace(/\.$/, '')}.`;
  if (status === 401 || (status === 403 && !hasToken)) return authError(answer, asked, hasToken, detail);
  if (status === 403) {
    const licence =
      asked.page === undefined
        ? ''
        : ` If it asks for a licence, accept it at ${asked.page} with the account that owns HF_TOKEN.`;
    return new DownloaderError(
      'ACCESS_DENIED',
      `${host} refuses ${asked.what} (403${reason === undefined ? '' : `, ${reason}`}).${detail}${licence} Then run: heimdex-downloader download`,
    );
  }
  if (status === 404 || status === 410) {
    return new DownloaderError(
      'NOT_FOUND',
      `${host} does not know ${asked.what} (${status}${reason === undefined ? '' : `, ${reason}`}).${detail} Check the name and the revision, and HF_ENDPOINT if it names a mirror, then run: heimdex-downloader plan`,
    );
  }
  if (status === 416) {
    return new DownloaderError(
      'SIZE_MISMATCH',
      `${host} has fewer bytes of ${asked.what} than its file list says (416). Nothing was published. Check HF_ENDPOINT and any proxy between, then run: heimdex-downloader download`,
    );
  }
  return new DownloaderError(
    'ANSWER_INVALID',
    `${host} answered ${status} for ${asked.what}, where 200 was expected.${detail} Check HF_ENDPOINT and the proxy variables, then run: heimdex-downloader download`,
  );
}

function authError(answer: HttpAnswer, asked: Asked, hasToken: boolean, detail: string): DownloaderError {
  const { host } = answer.url;
  const advice = hasToken
    ? 'The token in HF_TOKEN was not accepted: make a new one with read access'
    : 'It is private, needs a licence, or is misspelt (the hub does not tell which): check the name and set HF_TOKEN';
  const page = asked.page === undefined ? '' : `, look at ${asked.page}`;
  return new DownloaderError(
    'AUTH_REQUIRED',
    `${host} wants a login for ${asked.what} (${answer.status}).${detail} ${advice}${page}, then run: HF_TOKEN=hf_... heimdex-downloader download`,
  );
}

/** A header's text without control characters and not endless, for a message. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 300);
}
