import { CompilerError } from '../errors.js';

/** config.json, or an object in it. */
export type Config = Readonly<Record<string, unknown>>;

/** Reads values out of config.json, with the defaults of transformers' configuration classes. Throws CONFIG_UNSUPPORTED. */
export class ConfigReader {
  constructor(
    readonly config: Config,
    readonly path = '',
  ) {}

  /** A whole number above 0. */
  count(name: string, byDefault?: number): number {
    const value = this.config[name] ?? byDefault;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1)
      throw this.#wrong(name, 'a whole number above 0', value);
    return value;
  }

  number(name: string, byDefault?: number): number {
    const value = this.config[name] ?? byDefault;
    if (typeof value !== 'number' || !Number.isFinite(value)) throw this.#wrong(name, 'a number', value);
    return value;
  }

  text(name: string, byDefault?: string): string {
    const value = this.config[name] ?? byDefault;
    if (typeof value !== 'string') throw this.#wrong(name, 'text', value);
    return value;
  }

  /** An object in it; empty where there is none. */
  part(name: string): ConfigReader {
    const value = this.config[name] ?? {};
    if (typeof value !== 'object' || Array.isArray(value)) throw this.#wrong(name, 'an object', value);
    return new ConfigReader(value as Config, `${this.path}${name}.`);
  }

  /** Throws where a value that changes the graph is another than the one that is built. */
  expect(name: string, expected: unknown, byDefault: unknown = expected): void {
    const value = this.config[name] ?? byDefault;
    if (value !== expected) throw this.#wrong(name, JSON.stringify(expected), value);
  }

  #wrong(name: string, expected: string, value: unknown): CompilerError {
    return new CompilerError(
      'CONFIG_UNSUPPORTED',
      `Expected ${this.path}${name} of config.json to be ${expected}, got ${JSON.stringify(value) ?? 'nothing'}.`,
    );
  }
}

/** Attention needs a whole number of heads. Throws CONFIG_UNSUPPORTED. */
export function headSize(width: number, heads: number): number {
  if (width % heads !== 0) {
    throw new CompilerError(
      'CONFIG_UNSUPPORTED',
      `Expected a width that ${heads} heads divide, got ${width} in config.json.`,
    );
  }
  return width / heads;
}
