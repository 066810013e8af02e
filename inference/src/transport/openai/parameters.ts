/** The parameters of an operation: one typed table validates requests, is published in /openapi.json and shown in /docs. */
import { InferenceError } from '../../errors.js';

export type JsonSchema = { readonly [key: string]: unknown };

/** An object that has all of the properties. */
export function objectOf(properties: Readonly<Record<string, JsonSchema>>): JsonSchema {
  return { type: 'object', required: Object.keys(properties), properties };
}

export interface Parameter<Value> {
  /** Its JSON Schema, with a description. */
  readonly schema: JsonSchema;
  readonly required: boolean;
  /** In a form: whether it may come several times. */
  readonly many: boolean;
  /** A form's text as the JSON value it means. */
  fromText(text: string): unknown;
  /** The checked value; `undefined` is a parameter that was not sent. Throws INVALID_ARGUMENT. */
  parse(value: unknown, name: string): Value;
}

export type Parameters = Readonly<Record<string, Parameter<unknown>>>;
export type Values<Table extends Parameters> = {
  readonly [Name in keyof Table]: Table[Name] extends Parameter<infer Value> ? Value : never;
};

/** INVALID_ARGUMENT that names the parameter. */
export function invalidParameter(name: string, message: string): InferenceError {
  return new InferenceError('INVALID_ARGUMENT', `Invalid '${name}': ${message}`, { field: name });
}

/** Every parameter of the table, checked. Throws INVALID_ARGUMENT for a wrong, missing or unknown one. */
export function parseParameters<Table extends Parameters>(
  table: Table,
  values: Readonly<Record<string, unknown>>,
): Values<Table> {
  const unknown = Object.keys(values).find((name) => !Object.hasOwn(table, name));
  if (unknown !== undefined) {
    const names = Object.keys(table).join(', ');
    throw invalidParameter(unknown.slice(0, 100), `unknown parameter. This operation takes: ${names}.`);
  }
  const parsed = Object.entries(table).map(([name, parameter]) => {
    const value = values[name] ?? undefined;
    if (value === undefined && parameter.required) throw invalidParameter(name, 'it is required.');
    return [name, parameter.parse(value, name)];
  });
  return Object.fromEntries(parsed) as Values<Table>;
}

export function text(description: string, { maxCharacters = 1000 } = {}): Parameter<string | undefined> {
  return {
    ...PLAIN,
    schema: { type: 'string', maxLength: maxCharacters, description },
    parse(value, name) {
      if (value === undefined) return undefined;
      if (typeof value !== 'string') throw invalidParameter(name, `expected a string, got ${kindOf(value)}.`);
      if (value.length > maxCharacters) {
        throw invalidParameter(name, `expected at most ${maxCharacters} characters, got ${value.length}.`);
      }
      return value;
    },
  };
}

export function choice<Word extends string>(
  description: string,
  words: readonly Word[],
  fallback: Word,
): Parameter<Word> {
  return {
    ...PLAIN,
    schema: { type: 'string', enum: words, default: fallback, description },
    parse: (value, name) => (value === undefined ? fallback : oneOf(words, value, name)),
  };
}

/** Some of the words; in a form `name[]` or `name`, once each. */
export function choices<Word extends string>(description: string, words: readonly Word[]): Parameter<readonly Word[]> {
  return {
    ...PLAIN,
    many: true,
    schema: { type: 'array', items: { type: 'string', enum: words }, description },
    parse(value, name) {
      if (value === undefined) return [];
      if (!Array.isArray(value)) throw invalidParameter(name, `expected an array, got ${kindOf(value)}.`);
      return value.map((one: unknown) => oneOf(words, one, name));
    },
  };
}

export function number(
  description: string,
  { min, max, integer = false }: { readonly min: number; readonly max: number; readonly integer?: boolean },
): Parameter<number | undefined> {
  return {
    ...PLAIN,
    schema: { type: integer ? 'integer' : 'number', minimum: min, maximum: max, description },
    fromText: (given) => (given.trim() === '' ? given : Number.isNaN(Number(given)) ? given : Number(given)),
    parse(value, name) {
      if (value === undefined) return undefined;
      const fits = typeof value === 'number' && value >= min && value <= max && (!integer || Number.isInteger(value));
      if (fits) return value;
      const expected = `${integer ? 'an integer' : 'a number'} from ${min} to ${max}`;
      throw invalidParameter(name, `expected ${expected}, got ${shown(value)}.`);
    },
  };
}

const TRUTHS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false],
]);

export function flag(description: string): Parameter<boolean> {
  return {
    ...PLAIN,
    schema: { type: 'boolean', default: false, description },
    fromText: (given) => TRUTHS.get(given.toLowerCase()) ?? given,
    parse(value, name) {
      if (value === undefined) return false;
      if (typeof value !== 'boolean') throw invalidParameter(name, `expected true or false, got ${shown(value)}.`);
      return value;
    },
  };
}

/** The same parameter, which must be sent. */
export function required<Value>(parameter: Parameter<Value | undefined>): Parameter<Value> {
  // parseParameters refuses a request without it before it is parsed.
  return { ...parameter, required: true } as Parameter<Value>;
}

/** What most parameters have in common. */
export const PLAIN = { required: false, many: false, fromText: (given: string): unknown => given } as const;

function oneOf<Word extends string>(words: readonly Word[], value: unknown, name: string): Word {
  const word = words.find((candidate) => candidate === value);
  if (word !== undefined) return word;
  throw invalidParameter(name, `expected one of ${words.join(', ')}, got ${shown(value)}.`);
}

export function kindOf(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`;
}

function shown(value: unknown): string {
  // JSON has no infinite numbers.
  if (typeof value === 'number') return String(value);
  return typeof value === 'object' ? kindOf(value) : JSON.stringify(value).slice(0, 60);
}
