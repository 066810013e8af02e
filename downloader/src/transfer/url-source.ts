import { isEncodedPart } from './content-coding.js';
import type { HttpClient } from './http.js';
import { encodedPart, openedBytes, rangeHeader } from './hub-source.js';
import { expectOk, getFollowing } from './origin.js';
import type { ByteRange } from './ranges.js';
import type { ByteSource, OpenedBytes } from './source.js';

/** A file at an address of any web server. No token is ever sent there. */
export class UrlFileSource implements ByteSource {
  readonly label: string;
  #encodes = false;

  constructor(
    readonly http: () => Promise<HttpClient>,
    readonly url: URL,
  ) {
    this.label = `${url.origin}${url.pathname}`;
  }

  async open(range: ByteRange | undefined, signal: AbortSignal): Promise<OpenedBytes> {
    const target = { what: this.label, page: undefined };
    const origin = { endpoint: this.url, token: undefined };
    const http = await this.http();
    const headers = rangeHeader(this.#encodes ? undefined : range);
    const answer = expectOk(await getFollowing(http, this.url, origin, headers, target, signal), target, origin);
    if (!isEncodedPart(answer)) return openedBytes(answer, target);
    // A range of an encoded file is useless: such a server is asked for the whole file from then on.
    answer.close();
    if (this.#encodes) throw encodedPart(answer, target);
    this.#encodes = true;
    return this.open(undefined, signal);
  }
}
