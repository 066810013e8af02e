import { FileRequests } from './file-requests.js';
import type { HttpClient } from './http.js';
import { expectOk, getFollowing } from './origin.js';
import type { ByteRange } from './ranges.js';
import type { ByteSource, OpenedBytes } from './source.js';

/** A file at an address of any web server. No token is ever sent there. */
export class UrlFileSource implements ByteSource {
  readonly label: string;
  readonly #requests: FileRequests;

  constructor(http: () => Promise<HttpClient>, url: URL) {
    this.label = `${url.origin}${url.pathname}`;
    const target = { what: this.label, page: undefined };
    const origin = { endpoint: url, token: undefined };
    this.#requests = new FileRequests(target, async (headers, signal) =>
      expectOk(await getFollowing(await http(), url, origin, headers, target, signal), target, origin),
    );
  }

  open(range: ByteRange | undefined, signal: AbortSignal): Promise<OpenedBytes> {
    return this.#requests.open(range, signal);
  }

  bypassCaches(): void {
    this.#requests.bypassCaches();
  }
}
