import { DownloaderError } from '../errors.js';
import { type Asked, answerError } from './answers.js';
import { contentCodings, decodedBody, isEncodedPart } from './content-coding.js';
import type { HttpAnswer, HttpClient } from './http.js';
import { repositoryPage, resolveUrl } from './hub.js';
import { expectOk, getFollowing, type Origin } from './origin.js';
import type { ByteRange } from './ranges.js';
import { TransientError } from './retry.js';
import type { ByteSource, OpenedBytes } from './source.js';

/** One file on the hub. */
export interface HubFileAddress {
  readonly repository: string;
  /** 40 hex digits; or a branch or tag, where the file's hash is pinned anyway. */
  readonly commit: string;
  readonly path: string;
}

/** Refusals of freshly signed addresses in a row before the refusal is believed. */
const MAX_REFUSALS = 3;
/** What a store answers once an address has expired; some say 401, 404 or 410 where most say 403. */
const EXPIRED = new Set([401, 403, 404, 410]);

/** The bytes of a file behind the hub's `resolve`, mostly a redirect to a signed address that expires. */
export class HubFileSource implements ByteSource {
  readonly label: string;
  readonly #url: URL;
  readonly #asked: Asked;
  #location: URL | undefined;
  #refusals = 0;
  #encodes = false;

  constructor(
    readonly http: () => Promise<HttpClient>,
    readonly origin: Origin,
    address: HubFileAddress,
  ) {
    this.#url = resolveUrl(origin, address.repository, address.commit, address.path);
    this.label = `${this.#url.origin}${this.#url.pathname}`;
    this.#asked = {
      what: `${address.path} of ${address.repository} at ${address.commit.slice(0, 8)}`,
      page: repositoryPage(origin, address.repository),
    };
  }

  async open(range: ByteRange | undefined, signal: AbortSignal): Promise<OpenedBytes> {
    const headers = rangeHeader(this.#encodes ? undefined : range);
    const known = await this.#openKnown(headers, signal);
    if (known !== undefined) return this.#opened(known, signal);
    const answer = await getFollowing(await this.http(), this.#url, this.origin, headers, this.#asked, signal);
    const fromStore = answer.url.origin !== this.origin.endpoint.origin;
    if (fromStore && EXPIRED.has(answer.status)) throw this.#refused(answer);
    expectOk(answer, this.#asked, this.origin.token !== undefined);
    if (fromStore) this.#location = answer.url;
    this.#refusals = 0;
    return this.#opened(answer, signal);
  }

  /** A part of an encoded file is of no use: such a sender is asked for the whole file from then on. */
  async #opened(answer: HttpAnswer, signal: AbortSignal): Promise<OpenedBytes> {
    if (!isEncodedPart(answer)) return openedBytes(answer, this.#asked);
    answer.close();
    if (this.#encodes) throw encodedPart(answer, this.#asked);
    this.#encodes = true;
    return this.open(undefined, signal);
  }

  /** Asks the signed address of an earlier request; undefined when there is none or it has expired. */
  async #openKnown(headers: Record<string, string>, signal: AbortSignal): Promise<HttpAnswer | undefined> {
    const location = this.#location;
    if (location === undefined) return undefined;
    const http = await this.http();
    const answer = await http.get(location, headers, signal);
    if (answer.status >= 200 && answer.status < 300) return answer;
    answer.close();
    if (answer.status >= 400 && !EXPIRED.has(answer.status) && answer.status !== 416) {
      throw answerError(answer, this.#asked, false);
    }
    if (this.#location === location) this.#location = undefined;
    return undefined;
  }

  /** A signed address that is refused at its first use expired on the way, or its store is at fault: try again, not for ever. */
  #refused(answer: HttpAnswer): Error {
    answer.close();
    this.#refusals += 1;
    const error = new DownloaderError(
      'ACCESS_DENIED',
      `${answer.url.host}, where the hub keeps ${this.#asked.what}, refuses the address the hub has just signed (${answer.status}). Check this machine's clock and any proxy between, then run: heimdex-downloader download`,
    );
    return this.#refusals < MAX_REFUSALS ? new TransientError(error) : error;
  }
}

/** The header that asks for a part. */
export function rangeHeader(range: ByteRange | undefined): Record<string, string> {
  return range === undefined ? {} : { range: `bytes=${range.start}-${range.end - 1}` };
}

/** An answer with a part where the whole file was asked for, and that encoded. */
export function encodedPart(answer: HttpAnswer, asked: Asked): DownloaderError {
  return new DownloaderError(
    'ANSWER_INVALID',
    `${answer.url.host} sent a part of ${asked.what} in an encoding, where the whole file was asked for. Check HF_ENDPOINT and the proxy variables, then run: heimdex-downloader download`,
  );
}

/** Reads from a 200 or 206 answer which bytes come, without the encoding of a whole file. */
export function openedBytes(answer: HttpAnswer, asked: Asked): OpenedBytes {
  const body = decodedBody(answer, asked);
  const close = () => answer.close();
  if (answer.status !== 206) {
    // Of an encoded body it is the length as it was sent.
    const length = contentCodings(answer).length > 0 ? undefined : answer.header('content-length');
    return { start: 0, totalBytes: length === undefined ? undefined : Number(length), ranged: false, body, close };
  }
  const content = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(answer.header('content-range') ?? '');
  if (content === null) {
    answer.close();
    throw new TransientError(
      new DownloaderError(
        'ANSWER_INVALID',
        `${answer.url.host} sent a part of ${asked.what} without saying which (Content-Range). Check the proxy variables, then run: heimdex-downloader download`,
      ),
    );
  }
  const total = content[2] === '*' ? undefined : Number(content[2]);
  return { start: Number(content[1]), totalBytes: total, ranged: true, body, close };
}
