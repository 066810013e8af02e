/**
 * Bearer tokens from a file, one per line. Compared by hash and in constant time, so that response times reveal
 * nothing.
 */
import { createHash, timingSafeEqual } from 'node:crypto';

/** Characters a header can carry: RFC 6750's b64token and other common ones. */
const TOKEN = /^[\x21-\x7e]+$/;
/** Shorter tokens can be guessed. */
const MIN_TOKEN_CHARACTERS = 16;

export class Tokens {
  #digests: readonly Buffer[] = [];

  /**
   * Parses the tokens in a file's content; empty lines and lines that begin with # are ignored. Throws when there is
   * none, or when one is too short or contains characters no client can send, because such a token would lock everybody
   * out. Messages never contain a token.
   */
  replace(content: string | Uint8Array): void {
    const tokens = toText(content)
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#'));
    if (tokens.length === 0) throw new Error('expected at least one token, one per line');
    const short = tokens.findIndex((token) => token.length < MIN_TOKEN_CHARACTERS);
    if (short >= 0) {
      throw new Error(`token ${short + 1} is too short: expected ${MIN_TOKEN_CHARACTERS} characters or more`);
    }
    const odd = tokens.findIndex((token) => !TOKEN.test(token));
    if (odd >= 0) {
      throw new Error(
        `token ${odd + 1} has a space or a character that no header carries: expected ASCII letters, digits and punctuation, one token per line`,
      );
    }
    this.#digests = tokens.map(digest);
  }

  /** Whether an `authorization` header holds one of the tokens. */
  allow(authorization: string | undefined): boolean {
    const token = /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
    if (token === undefined) return false;
    const given = digest(token);
    // All are compared, whichever matches.
    return this.#digests.filter((known) => timingSafeEqual(known, given)).length > 0;
  }
}

function toText(content: string | Uint8Array): string {
  if (typeof content === 'string') return content;
  try {
    // TextDecoder strips a byte order mark.
    return new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch (cause) {
    throw new Error('expected text, one token per line, found invalid UTF-8', { cause });
  }
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
