import { shown } from '../checkpoint/checkpoint.js';
import { CompilerError } from '../errors.js';

/** config.json, or an object in it. */
export type Config = Readonly<Record<string, unknown>>;

/** Reads values out of config.json, with the defaults of transformers' configuration classes. Throws CONFIG_UNSUPPORTED. */
export class ConfigReader {
  constructor(
    readonly config: Config,
    readonly path = '',
    /** The file, for messages. */
    readonly file = 'config.json',
  ) {}

  /** An integer above 0, bounded by plausible model sizes: otherwise a config.json could request any amount of memory. */
  count(name: string, byDefault?: number, max = MAX_VALUES[name] ?? MAX_OF_ALL): number {
    const value = this.config[name] ?? byDefault;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1)
      throw this.#wrong(name, 'a whole number above 0', value);
    if (value > max) throw this.#wrong(name, `at most ${max}`, value);
    return value;
  }

  /** An index into a table: an integer from 0 to below `size`. */
  index(name: string, size: number, byDefault: number): number {
    const value = this.config[name] ?? byDefault;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value >= size)
      throw this.#wrong(name, `a whole number below ${size}`, value);
    return value;
  }

  /** The epsilon of the norms. */
  epsilon(byDefault: number): number {
    const value = this.config.layer_norm_eps ?? byDefault;
    if (typeof value !== 'number' || !(value >= 0 && value <= 1))
      throw this.#wrong('layer_norm_eps', 'a number from 0 to 1', value);
    return value;
  }

  text(name: string, byDefault?: string): string {
    const value = this.config[name] ?? byDefault;
    if (typeof value !== 'string') throw this.#wrong(name, 'text', value);
    return value;
  }

  /** One of the known words. */
  word<Word extends string>(name: string, known: readonly Word[], byDefault: Word): Word {
    const value = this.config[name] ?? byDefault;
    const found = known.find((word) => word === value);
    if (found === undefined) throw this.#wrong(name, known.join(' or '), value);
    return found;
  }

  /** A list of one or more of the known words. */
  words<Word extends string>(name: string, known: readonly Word[]): readonly Word[] {
    const value = this.config[name];
    const words = Array.isArray(value) ? known.filter((word) => value.includes(word)) : [];
    if (!Array.isArray(value) || value.length === 0 || words.length < value.length)
      throw this.#wrong(name, `a list of ${known.join(', ')}`, value);
    return value as readonly Word[];
  }

  get isEmpty(): boolean {
    return Object.keys(this.config).length === 0;
  }

  /** Returns an object in it; empty if there is none. `file`: the file that it comes from, if it is another one. */
  part(name: string, file?: string): ConfigReader {
    const value = this.config[name] ?? {};
    if (typeof value !== 'object' || Array.isArray(value)) throw this.#wrong(name, 'an object', value);
    const path = file === undefined ? `${this.path}${name}.` : '';
    return new ConfigReader(value as Config, path, file ?? this.file);
  }

  /** Throws if a value that changes the graph is not the supported one. */
  expect(name: string, expected: unknown, byDefault: unknown = expected): void {
    const value = this.config[name] ?? byDefault;
    if (value !== expected) throw this.#wrong(name, JSON.stringify(expected), value);
  }

  #wrong(name: string, expected: string, value: unknown): CompilerError {
    return new CompilerError(
      'CONFIG_UNSUPPORTED',
      `Expected ${this.path}${name} of ${this.file} to be ${expected}, got ${shown(JSON.stringify(value) ?? 'nothing')}.`,
    );
  }
}

/** Larger than in any model. */
const MAX_OF_ALL = 1 << 22;
const MAX_VALUES: Readonly<Record<string, number>> = {
  num_hidden_layers: 256,
  encoder_layers: 256,
  decoder_layers: 256,
  image_size: 2048,
  patch_size: 256,
  num_mel_bins: 512,
  hidden_size: 16_384,
  d_model: 16_384,
  max_position_embeddings: 1 << 20,
};

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
