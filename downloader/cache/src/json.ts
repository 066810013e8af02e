/** Parses JSON of unknown shape; each error message contains the path of the invalid value. */
import { isObject, type JsonObject } from '@heimdex/common';
import { isRepositoryName } from './layout.js';
import { unsafePathReason } from './safe-path.js';

/** An invalid value in a document: `models[3].files[0].path must be a text`. */
export class JsonShapeError extends Error {
  override readonly name = 'JsonShapeError';
}

/** A cursor into a document that knows its path, for error messages. */
export class JsonCursor {
  readonly #value: unknown;
  readonly #path: string;

  constructor(value: unknown, path: string) {
    this.#value = value;
    this.#path = path;
  }

  get present(): boolean {
    return this.#value !== undefined;
  }

  /** Throws a JsonShapeError for this path. `value` is what to show: the value itself, or what is no secret of it. */
  fail(expectation: string, value = this.#value): never {
    const got = value === undefined ? 'nothing' : (JSON.stringify(value) ?? 'nothing').slice(0, 80);
    throw new JsonShapeError(`${this.#path} must be ${expectation}, got ${got}`);
  }

  /** Returns a member of this object; a cursor on undefined if it is missing. */
  get(key: string): JsonCursor {
    return new JsonCursor(this.#object()[key], `${this.#path}.${key}`);
  }

  /** Rejects members that are not in the list, since they are probably misspelt. */
  only(keys: readonly string[]): this {
    for (const key of Object.keys(this.#object())) {
      if (!keys.includes(key)) throw new JsonShapeError(`${this.#path}.${key} is not known; known: ${keys.join(', ')}`);
    }
    return this;
  }

  entries(): [string, JsonCursor][] {
    return Object.entries(this.#object()).map(([key, value]) => [key, new JsonCursor(value, `${this.#path}.${key}`)]);
  }

  items(): JsonCursor[] {
    if (!Array.isArray(this.#value)) return this.fail('a list');
    return this.#value.map((item, index) => new JsonCursor(item, `${this.#path}[${index}]`));
  }

  text(pattern?: RegExp, expectation = 'a text'): string {
    if (typeof this.#value !== 'string' || this.#value === '' || pattern?.test(this.#value) === false) {
      return this.fail(expectation);
    }
    return this.#value;
  }

  /** A path that leads out of no directory. */
  path(): string {
    const path = this.text();
    const reason = unsafePathReason(path);
    return reason === undefined ? path : this.fail(`a path inside the repository (${reason})`);
  }

  /** `org/name`. */
  repository(): string {
    const name = this.text();
    return isRepositoryName(name) ? name : this.fail('a repository such as org/name');
  }

  word<const Word extends string>(words: readonly Word[]): Word {
    return words.find((word) => word === this.#value) ?? this.fail(`one of ${words.join(', ')}`);
  }

  boolean(): boolean {
    return typeof this.#value === 'boolean' ? this.#value : this.fail('true or false');
  }

  /** An integer of 0 or more. */
  count(): number {
    const value = this.#value;
    return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
      ? value
      : this.fail('a whole number of 0 or more');
  }

  number(): number {
    const value = this.#value;
    return typeof value === 'number' && Number.isFinite(value) ? value : this.fail('a number');
  }

  sha256(): string {
    return this.text(/^[0-9a-f]{64}$/, '64 hexadecimal digits');
  }

  /** Returns the result of `read`, or undefined if the value is missing. */
  optional<Value>(read: (cursor: JsonCursor) => Value): Value | undefined {
    return this.present ? read(this) : undefined;
  }

  #object(): JsonObject {
    return isObject(this.#value) ? this.#value : this.fail('an object');
  }
}
