import type { HttpClient } from './http.js';
import { openedBytes, rangeHeader } from './hub-source.js';
import { expectOk, getFollowing } from './origin.js';
import type { ByteRange } from './ranges.js';
import type { ByteSource, OpenedBytes } from './source.js';

/** A file at an address of any web server. No token is ever sent there. */
export class UrlFileSource implements ByteSource {
  readonly label: string;

  constructor(
    readonly http: () => Promise<HttpClient>,
    readonly url: URL,
  ) {
    this.label = `${url.origin}${url.pathname}`;
  }

  async open(range: ByteRange | undefined, signal: AbortSignal): Promise<OpenedBytes> {
    const asked = { what: this.label, page: undefined };
    const origin = { endpoint: this.url, token: undefined };
    const answer = await getFollowing(await this.http(), this.url, origin, rangeHeader(range), asked, signal);
    return openedBytes(expectOk(answer, asked, false), asked);
  }
}
