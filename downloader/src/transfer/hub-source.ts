import { DownloaderError } from '../errors.js';
import { answerError, type Origin, type RequestTarget } from './answers.js';
import { contentCodings, decodedBody, isEncodedPart } from './content-coding.js';
import type { HttpAnswer, HttpClient } from './http.js';
import { repositoryPage, resolveUrl } from './hub.js';
import { expectOk, getFollowing } from './origin.js';
import type { ByteRange } from './ranges.js';
import { mayPass, TransientError } from './retry.js';
import type { ByteSource, OpenedBytes } from './source.js';

/** Address of one file on the hub. */
export interface HubFileAddress {
  readonly repository: string;
  /** 40 hex digits; or a branch or tag if the file's hash is pinned anyway. */
  readonly commit: string;
  readonly path: string;
}

/** Consecutive refusals of freshly signed addresses before the refusal is final. */
const MAX_REFUSALS = 3;
/** Statuses of a store for an expired address; most answer 403, Google's (and S3 for an expired key) 400, some 401, 404 or 410. */
const EXPIRED = new Set([400, 401, 403, 404, 410]);
const GONE = new Set([404, 410]);

/** The bytes of a file behind the hub's `resolve`, usually a redirect to a signed address that expires. */
export class HubFileSource implements ByteSource {
  readonly label: string;
  readonly #url: URL;
  readonly #target: RequestTarget;
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
    this.#target = {
      what: `${address.path} of ${address.repository} at ${address.commit.slice(0, 8)}`,
      page: repositoryPage(origin, address.repository),
    };
  }

  async open(range: ByteRange | undefined, signal: AbortSignal): Promise<OpenedBytes> {
    const headers = rangeHeader(this.#encodes ? undefined : range);
    const known = await this.#openKnown(headers, signal);
    if (known !== undefined) return this.#opened(known, signal);
    const answer = await getFollowing(await this.http(), this.#url, this.origin, headers, this.#target, signal);
    const fromStore = answer.url.origin !== this.origin.endpoint.origin;
    if (fromStore && EXPIRED.has(answer.status)) throw this.#refused(answer);
    expectOk(answer, this.#target, this.origin);
    if (fromStore) this.#location = answer.url;
    this.#refusals = 0;
    return this.#opened(answer, signal);
  }

  /** A range of an encoded file is useless: such a server is asked for the whole file from then on. */
  async #opened(answer: HttpAnswer, signal: AbortSignal): Promise<OpenedBytes> {
    if (!isEncodedPart(answer)) return openedBytes(answer, this.#target);
    answer.close();
    if (this.#encodes) throw encodedPart(answer, this.#target);
    this.#encodes = true;
    return this.open(undefined, signal);
  }

  /** Requests the signed address of an earlier request; undefined if there is none or it is refused, as once it has expired. */
  async #openKnown(headers: Record<string, string>, signal: AbortSignal): Promise<HttpAnswer | undefined> {
    const location = this.#location;
    if (location === undefined) return undefined;
    const http = await this.http();
    const answer = await http.get(location, headers, signal);
    if (answer.status >= 200 && answer.status < 300) return answer;
    answer.close();
    if (mayPass(answer.status)) throw answerError(answer, this.#target, this.origin);
    if (this.#location === location) this.#location = undefined;
    return undefined;
  }

  /** A signed address refused at first use has expired in transit, or its store is at fault: retry, but not forever. */
  #refused(answer: HttpAnswer): Error {
    answer.close();
    this.#refusals += 1;
    const { status, url } = answer;
    const where = `${url.host}, where the hub stores ${this.#target.what},`;
    const error = GONE.has(status)
      ? new DownloaderError(
          'NOT_FOUND',
          `${where} does not have it (${status}). Check HF_ENDPOINT and any proxy in between, or wait until the hub has it again, then run: heimdex-downloader download`,
        )
      : new DownloaderError(
          'ACCESS_DENIED',
          `${where} refuses an address that the hub has just signed (${status}). Check this machine's clock and any proxy in between, then run: heimdex-downloader download`,
        );
    return this.#refusals < MAX_REFUSALS ? new TransientError(error) : error;
  }
}

/** Returns the Range header. */
export function rangeHeader(range: ByteRange | undefined): Record<string, string> {
  return range === undefined ? {} : { range: `bytes=${range.start}-${range.end - 1}` };
}

/** Returns the error for an encoded range where the whole file was requested. */
export function encodedPart(answer: HttpAnswer, target: RequestTarget): DownloaderError {
  return new DownloaderError(
    'ANSWER_INVALID',
    `${answer.url.host} sent an encoded range of ${target.what}, where the whole file was requested. Check HF_ENDPOINT and the proxy variables, then run: heimdex-downloader download`,
  );
}

/** Returns the bytes of a 200 or 206 answer with their position, decoding a whole file. */
export function openedBytes(answer: HttpAnswer, target: RequestTarget): OpenedBytes {
  const body = decodedBody(answer, target);
  const close = () => answer.close();
  if (answer.status !== 206) {
    // For an encoded body this is the encoded length.
    const length = contentCodings(answer).length > 0 ? undefined : answer.header('content-length');
    return { start: 0, totalBytes: length === undefined ? undefined : Number(length), ranged: false, body, close };
  }
  const content = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(answer.header('content-range') ?? '');
  if (content === null) {
    answer.close();
    throw new TransientError(
      new DownloaderError(
        'ANSWER_INVALID',
        `${answer.url.host} sent a range of ${target.what} without Content-Range. Check the proxy variables, then run: heimdex-downloader download`,
      ),
    );
  }
  const total = content[2] === '*' ? undefined : Number(content[2]);
  return { start: Number(content[1]), totalBytes: total, ranged: true, body, close };
}
