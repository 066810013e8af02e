/** Signed URLs of the second server that expire, as those of the real hub. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

export interface SignedLink {
  readonly repository: string;
  readonly file: string;
  /** LFS or git hash of the blob. */
  readonly blobId: string;
}

export class LinkSigner {
  readonly #key = randomBytes(32);
  readonly #lifetimeMs: number;
  readonly #now: () => number;

  constructor(lifetimeMs: number, now: () => number) {
    this.#lifetimeMs = lifetimeMs;
    this.#now = now;
  }

  /** Returns the path and query of a new link. */
  sign(link: SignedLink): string {
    const query = new URLSearchParams({
      repository: link.repository,
      file: link.file,
      expires: String(this.#now() + this.#lifetimeMs),
    });
    const unsigned = `/blobs/${link.blobId}?${query}`;
    return `${unsigned}&signature=${this.#signature(unsigned)}`;
  }

  /** Verifies a link and returns its content, or why it is invalid. */
  open(pathAndQuery: string): SignedLink | 'forged' | 'expired' {
    const at = pathAndQuery.lastIndexOf('&signature=');
    const unsigned = pathAndQuery.slice(0, Math.max(at, 0));
    const given = Buffer.from(pathAndQuery.slice(at + '&signature='.length));
    const expected = Buffer.from(this.#signature(unsigned));
    if (at < 0 || given.length !== expected.length || !timingSafeEqual(given, expected)) return 'forged';
    const url = new URL(unsigned, 'http://cdn.invalid');
    if (Number(url.searchParams.get('expires')) < this.#now()) return 'expired';
    return {
      repository: url.searchParams.get('repository') ?? '',
      file: url.searchParams.get('file') ?? '',
      blobId: url.pathname.slice('/blobs/'.length),
    };
  }

  #signature(unsigned: string): string {
    return createHmac('sha256', this.#key).update(unsigned).digest('base64url');
  }
}
