/**
 * Declares environment variables: each has a name, a default, a description and an example, and a parser. --help and the docs are
 * generated from the same tables that the programs read with, and all problems of an environment are reported together.
 */
import { isDecodable, withoutCredentials } from './credentials.js';
import { CacheError } from './errors.js';

/** One environment variable with a parsed `Value`. Create one with the functions below. */
export interface Variable<Value> {
  readonly name: string;
  /** Description of one or two sentences, with the unit and the words to choose from. */
  readonly doc: string;
  /** The default for the docs; undefined if the unset state has its own meaning. */
  readonly defaultText: string | undefined;
  readonly example: string;
  /** True for tokens and keys: their values are never shown. */
  readonly secret: boolean;
  /** Parses a text; a problem is half a sentence: `must be a whole number from 1 to 64, got "..."`. */
  parse(text: string): Parsed<Value>;
  /** The value if the variable is not set. */
  readonly fallback: Value;
}

export type Parsed<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problem: string };

/** Variables by the program's names for them. */
export type VariableTable = Readonly<Record<string, Variable<unknown>>>;

/** Parsed values of a table. */
export type VariableValues<Table extends VariableTable> = {
  readonly [Key in keyof Table]: Table[Key] extends Variable<infer Value> ? Value : never;
};

interface Declaration {
  readonly name: string;
  readonly doc: string;
  readonly example: string;
}

/** Any text. Without a default the variable is optional. */
export function stringVariable<Default extends string | undefined = undefined>(
  declaration: Declaration & { readonly default?: Default; readonly secret?: boolean },
): Variable<string | Default> {
  const byDefault = declaration.default as Default;
  return variable<string | Default>(declaration, byDefault, byDefault, (text) => good(text));
}

const TRUE_WORDS = ['1', 'true', 'yes', 'on'];
const FALSE_WORDS = ['0', 'false', 'no', 'off'];

/** true, 1, yes, on; false, 0, no, off; in any case, as in huggingface_hub. */
export function booleanVariable(declaration: Declaration & { readonly default: boolean }): Variable<boolean> {
  const expected = 'true or false';
  return variable(declaration, declaration.default, String(declaration.default), (text) => {
    const word = text.toLowerCase();
    if (TRUE_WORDS.includes(word)) return good(true);
    if (FALSE_WORDS.includes(word)) return good(false);
    return bad(expected, text);
  });
}

/** An integer between `min` and `max`, inclusive. Without a default the variable is optional. */
export function integerVariable<Default extends number | undefined = undefined>(
  declaration: Declaration & { readonly default?: Default; readonly min: number; readonly max: number },
): Variable<number | Default> {
  const { min, max } = declaration;
  const expected = `a whole number from ${min} to ${max}`;
  const byDefault = declaration.default as Default;
  return variable<number | Default>(declaration, byDefault, byDefault?.toString(), (text) => {
    const value = /^[+-]?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? good(value) : bad(expected, text);
  });
}

/** A number between `min` and `max`, inclusive; fractions allowed. */
export function numberVariable(
  declaration: Declaration & { readonly default: number; readonly min: number; readonly max: number },
): Variable<number> {
  const { min, max } = declaration;
  const expected = `a number from ${min} to ${max}`;
  return variable(declaration, declaration.default, String(declaration.default), (text) => {
    const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? good(value) : bad(expected, text);
  });
}

/** One word of a closed set, in any case. */
export function enumVariable<const Word extends string>(
  declaration: Declaration & { readonly words: readonly Word[]; readonly default: NoInfer<Word> },
): Variable<Word> {
  const words = declaration.words.join(', ');
  const expected = `one of ${words}`;
  const described = { ...declaration, doc: `${declaration.doc} One of ${words}.` };
  return variable(described, declaration.default, declaration.default, (text) => {
    const word = declaration.words.find((candidate) => candidate.toLowerCase() === text.toLowerCase());
    return word === undefined ? bad(expected, text) : good(word);
  });
}

/** An http or https URL, without a trailing slash. Without a default the variable is optional. */
export function urlVariable<Default extends string | undefined = undefined>(
  declaration: Declaration & { readonly default?: Default },
): Variable<string | Default> {
  const expected = 'an http:// or https:// address';
  const byDefault = declaration.default as Default;
  return variable<string | Default>(declaration, byDefault, byDefault, (text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:';
    // Paths are put behind it. A query may hold a secret, and what is before it the first part of a password that has a # or ?.
    const [address = ''] = text.split(/[?#]/);
    if (isHttp && address !== text) {
      const shown = text.includes('@', address.length) ? `${url.protocol}//...` : `${withoutCredentials(address)}?...`;
      return bad(`${expected} without ? and #`, shown);
    }
    if (isHttp && !isDecodable(url)) return bad(`${expected} with % written as %25`, withoutCredentials(text));
    return isHttp ? good(text.replace(/\/+$/, '')) : bad(expected, withoutCredentials(text));
  });
}

/**
 * Origins of web pages, separated by commas, as browsers send them: in lower case, without the default port and a path. `*` stands for
 * all; blanks around the items are dropped, and empty items too.
 */
export function originsVariable(declaration: Declaration): Variable<readonly string[]> {
  const expected = 'origins such as https://page.example:8080, separated by commas, or * for all';
  return variable(declaration, [], undefined, (text) => {
    const origins: string[] = [];
    for (const item of text.split(',').map((part) => part.trim())) {
      if (item === '') continue;
      const origin = originOf(item);
      // A browser's origin would never equal it, and nobody would know why.
      if (origin === undefined) return bad(expected, withoutCredentials(item));
      origins.push(origin);
    }
    return good(origins);
  });
}

function originOf(text: string): string | undefined {
  if (text === '*' || text === 'null') return text;
  const written = /^([a-z][a-z\d+.-]*:\/\/[^\s/?#@*]+)\/*$/i.exec(text)?.[1]?.toLowerCase();
  if (written === undefined || !URL.canParse(written)) return undefined;
  // URL knows no origin of other schemes, such as chrome-extension:.
  const { origin } = new URL(written);
  return origin === 'null' ? written : origin;
}

/** A value in quotes, as docker's --env-file and kubectl's --from-env-file leave it. The path "/srv" would be below the working directory. */
const QUOTED = /^(["']).*\1$/s;

/**
 * Reads a table of variables. An empty or blank variable counts as not set, as in compose files with `${NAME:-}`. Throws
 * ENVIRONMENT_INVALID with every problem.
 */
export function readVariables<const Table extends VariableTable>(
  env: NodeJS.ProcessEnv,
  table: Table,
): VariableValues<Table> {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(table)) {
    const text = env[item.name]?.trim() ?? '';
    if (text === '') {
      values[key] = item.fallback;
      continue;
    }
    const parsed = QUOTED.test(text)
      ? { ok: false as const, problem: "must not be in quotes, which docker's --env-file does not remove" }
      : item.parse(text);
    if (parsed.ok) values[key] = parsed.value;
    else problems.push(`${item.name} ${parsed.problem}. Example: ${item.name}=${item.example}`);
  }
  if (problems.length > 0) throw environmentInvalid(problems);
  return values as VariableValues<Table>;
}

/**
 * Runs several readers of the environment and reports the problems of all in one ENVIRONMENT_INVALID. Other errors are thrown
 * immediately.
 *
 * @example const [models, server] = readAll(() => readModelEnvironment(env), () => readVariables(env, SERVER_VARIABLES));
 */
export function readAll<const Readers extends readonly (() => unknown)[]>(
  ...readers: Readers
): { readonly [Index in keyof Readers]: ReturnType<Readers[Index]> } {
  const problems: string[] = [];
  const values = readers.map((reader) => {
    try {
      return reader();
    } catch (error) {
      if (!(error instanceof CacheError) || error.code !== 'ENVIRONMENT_INVALID') throw error;
      problems.push(...error.problems);
      return undefined;
    }
  });
  if (problems.length > 0) throw environmentInvalid(problems);
  return values as { readonly [Index in keyof Readers]: ReturnType<Readers[Index]> };
}

/** Creates one ENVIRONMENT_INVALID for a list of problems, each a sentence that starts with the variable's name. */
export function environmentInvalid(problems: readonly string[]): CacheError {
  const count = problems.length === 1 ? 'A setting is wrong' : `${problems.length} settings are wrong`;
  return new CacheError('ENVIRONMENT_INVALID', [`${count}:`, ...problems.map((line) => `  ${line}`)].join('\n'), {
    problems,
  });
}

function variable<Value>(
  declaration: Declaration & { readonly secret?: boolean },
  fallback: Value,
  defaultText: string | undefined,
  parse: (text: string) => Parsed<Value>,
): Variable<Value> {
  const { name, doc, example, secret = false } = declaration;
  return { name, doc, example, secret, fallback, defaultText, parse };
}

function good<Value>(value: Value): Parsed<Value> {
  return { ok: true, value };
}

function bad(expected: string, text: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem: `must be ${expected}, got "${text}"` };
}
