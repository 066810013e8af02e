/** Reading JSON of unknown shape piece by piece, with the place of a mistake in each message. */

export type JsonObject = Readonly<Record<string, unknown>>;

/** A mistake at a place in a document: `models[3].files[0].path must be a text`. */
export class JsonShapeError extends Error {
  override readonly name = 'JsonShapeError';
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A cursor into a document: it knows where it is, so that its errors can say it. */
export class JsonCursor {
  readonly #value: unknown;
  readonly #place: string;

  constructor(value: unknown, place: string) {
    this.#value = value;
    this.#place = place;
  }

  get present(): boolean {
    return this.#value !== undefined;
  }

  /** Throws a JsonShapeError for this place. */
  fail(expectation: string): never {
    const got = this.#value === undefined ? 'nothing' : (JSON.stringify(this.#value) ?? 'nothing').slice(0, 80);
    throw new JsonShapeError(`${this.#place} must be ${expectation}, got ${got}`);
  }

  /** A member of this object; a cursor on nothing where there is none. */
  get(key: string): JsonCursor {
    return new JsonCursor(this.#object()[key], `${this.#place}.${key}`);
  }

  /** Refuses members that are not in the list: they are misspelt ones. */
  only(keys: readonly string[]): this {
    for (const key of Object.keys(this.#object())) {
      if (!keys.includes(key))
        throw new JsonShapeError(`${this.#place}.${key} is not known; known: ${keys.join(', ')}`);
    }
    return this;
  }

  entries(): [string, JsonCursor][] {
    return Object.entries(this.#object()).map(([key, value]) => [key, new JsonCursor(value, `${this.#place}.${key}`)]);
  }

  items(): JsonCursor[] {
    if (!Array.isArray(this.#value)) return this.fail('a list');
    return this.#value.map((item, index) => new JsonCursor(item, `${this.#place}[${index}]`));
  }

  text(pattern?: RegExp, expectation = 'a text'): string {
    if (typeof this.#value !== 'string' || this.#value === '' || pattern?.test(this.#value) === false) {
      return this.fail(expectation);
    }
    return this.#value;
  }

  word<const Word extends string>(words: readonly Word[]): Word {
    return words.find((word) => word === this.#value) ?? this.fail(`one of ${words.join(', ')}`);
  }

  boolean(): boolean {
    return typeof this.#value === 'boolean' ? this.#value : this.fail('true or false');
  }

  /** A whole number of 0 or more. */
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

  /** The result of `read`, or undefined where there is nothing. */
  optional<Value>(read: (cursor: JsonCursor) => Value): Value | undefined {
    return this.present ? read(this) : undefined;
  }

  #object(): JsonObject {
    return isObject(this.#value) ? this.#value : this.fail('an object');
  }
}
