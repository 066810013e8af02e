/** Bearer tokens: a file with one a line. Compared by hash and in constant time, so that an answer's time tells nothing. */
import { createHash, timingSafeEqual } from 'node:crypto';

/** Shorter ones can be guessed. */
export const LEAST_TOKEN_CHARACTERS = 16;

export class Tokens {
  #digests: readonly Buffer[] = [];

  /**
   * Takes the tokens of a file's text; empty lines and those that begin with # do not count. Throws when there is none, or
   * one is too short; a message never has a token in it.
   */
  replace(text: string): void {
    const tokens = text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#'));
    if (tokens.length === 0) throw new Error('expected at least one token, one a line');
    const short = tokens.findIndex((token) => token.length < LEAST_TOKEN_CHARACTERS);
    if (short >= 0) {
      throw new Error(`token ${short + 1} is too short: expected ${LEAST_TOKEN_CHARACTERS} characters or more`);
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

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
