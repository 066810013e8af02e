import { DownloaderError } from '../errors.js';
import { answerError, type Origin, type RequestTarget, webPageHint } from './answers.js';
import { FileRequests } from './file-requests.js';
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
  readonly #requests: FileRequests;
  #location: URL | undefined;
  #refusals = 0;

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
    this.#requests = new FileRequests(this.#target, (headers, signal) => this.#ask(headers, signal));
  }

  open(range: ByteRange | undefined, signal: AbortSignal): Promise<OpenedBytes> {
    return this.#requests.open(range, signal);
  }

  bypassCaches(): void {
    this.#requests.bypassCaches();
  }

  async #ask(headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<HttpAnswer> {
    const known = await this.#askKnown(headers, signal);
    if (known !== undefined) return known;
    const answer = await getFollowing(await this.http(), this.#url, this.origin, headers, this.#target, signal);
    const fromStore = answer.url.origin !== this.origin.endpoint.origin;
    if (fromStore && EXPIRED.has(answer.status)) throw this.#refused(answer);
    expectOk(answer, this.#target, this.origin);
    if (fromStore) this.#location = answer.url;
    this.#refusals = 0;
    return answer;
  }

  /**
   * Requests the signed address of an earlier request; undefined if there is none or it is refused, as once it has expired. After a failure
   * the hub is asked again: it may know a host that can be reached.
   */
  async #askKnown(headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<HttpAnswer | undefined> {
    const location = this.#location;
    if (location === undefined) return undefined;
    const http = await this.http();
    const forget = () => {
      if (this.#location === location) this.#location = undefined;
    };
    const answer = await http.get(location, headers, signal).catch((error: unknown) => {
      forget();
      throw error;
    });
    if (answer.status >= 200 && answer.status < 300) return answer;
    answer.close();
    if (mayPass(answer.status)) throw answerError(answer, this.#target, this.origin);
    forget();
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
          `${where} refuses an address that the hub has just signed (${status}).${webPageHint(answer)} Check this machine's clock and any proxy in between, then run: heimdex-downloader download`,
        );
    return this.#refusals < MAX_REFUSALS ? new TransientError(error) : error;
  }
}
