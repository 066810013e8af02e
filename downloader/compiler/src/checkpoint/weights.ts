import { CompilerError } from '../errors.js';
import { type Checkpoint, PositionedFile, shown, type TensorEntry } from './checkpoint.js';
import { DATA_TYPES, toFloat32 } from './data-types.js';

/** Tensors that no graph needs, and why: a pattern of their names by reason. */
export type ExpectedUnused = Readonly<Record<string, RegExp>>;

/** A tensor's name as the builders know it, from its name in the file. */
export type Renaming = (name: string) => string;

/**
 * The weights of a checkpoint, each read when it is asked for. Every tensor has to be taken once or be expected to be unused: a
 * checkpoint that holds more than the graph does is another model than its config says.
 */
export class Weights {
  readonly #entries = new Map<string, TensorEntry>();
  readonly #files: readonly PositionedFile[];
  readonly #taken = new Set<string>();

  /** Throws TENSOR_UNEXPECTED when two tensors get one name. */
  constructor(checkpoint: Checkpoint, rename: Renaming = (name) => name) {
    for (const [name, entry] of checkpoint.tensors) {
      const renamed = rename(name);
      if (this.#entries.has(renamed)) {
        throw new CompilerError(
          'TENSOR_UNEXPECTED',
          `Expected one tensor ${shown(renamed)}, got a second one, ${shown(name)}.`,
        );
      }
      this.#entries.set(renamed, entry);
    }
    this.#files = checkpoint.files.map((path) => new PositionedFile(path));
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** Throws TENSOR_MISSING. */
  shape(name: string): readonly number[] {
    return this.#entry(name).shape;
  }

  /** A whole tensor as float32. Throws TENSOR_MISSING, TENSOR_SHAPE or TENSOR_NOT_FINITE. */
  take(name: string, shape: readonly number[]): Float32Array {
    return this.takeRows(name, shape, 0, shape[0] ?? 1);
  }

  /** Rows of a tensor, [count, ...], as float32: for tables that are read slice by slice. */
  takeRows(name: string, shape: readonly number[], start: number, count: number): Float32Array {
    const entry = this.#entry(name);
    if (entry.shape.length !== shape.length || entry.shape.some((size, axis) => size !== shape[axis])) {
      throw new CompilerError(
        'TENSOR_SHAPE',
        `Expected tensor ${name} to be [${shape.join(', ')}], as config.json says, got [${entry.shape.join(', ')}].`,
      );
    }
    this.#taken.add(name);
    const rowBytes = shape.slice(1).reduce((product, size) => product * size, DATA_TYPES[entry.type]);
    const bytes = this.#file(entry).read(entry.offset + start * rowBytes, count * rowBytes);
    if (bytes.length < count * rowBytes) {
      throw new CompilerError('CHECKPOINT_INVALID', `Expected all of tensor ${name}, but the file ends within it.`);
    }
    const values = toFloat32(entry.type, bytes);
    for (let i = 0; i < values.length; i++) {
      if (!Number.isFinite(values[i])) {
        const where = `${name} at element ${start * (rowBytes / DATA_TYPES[entry.type]) + i}`;
        throw new CompilerError(
          'TENSOR_NOT_FINITE',
          `Expected finite weights, got ${values[i]} in tensor ${where}. The checkpoint is broken.`,
        );
      }
    }
    return values;
  }

  /** Throws TENSOR_UNEXPECTED for a tensor that was neither taken nor expected to be unused. */
  expectAllTaken(unused: ExpectedUnused): void {
    const patterns = Object.values(unused);
    const extra = [...this.#entries.keys()].filter(
      (name) => !this.#taken.has(name) && !patterns.some((pattern) => pattern.test(name)),
    );
    if (extra.length > 0) {
      const more = extra.length > 1 ? ` and ${extra.length - 1} more` : '';
      throw new CompilerError(
        'TENSOR_UNEXPECTED',
        `Expected the tensors that config.json describes, got ${shown(extra[0] ?? '')}${more} besides. config.json belongs to another model, or the architecture is not supported.`,
      );
    }
  }

  close(): void {
    for (const file of this.#files) file.close();
  }

  #entry(name: string): TensorEntry {
    const entry = this.#entries.get(name);
    if (entry === undefined) {
      throw new CompilerError(
        'TENSOR_MISSING',
        `Expected the checkpoint to hold tensor ${name}, got none of that name.`,
      );
    }
    return entry;
  }

  #file(entry: TensorEntry): PositionedFile {
    const file = this.#files[entry.file];
    if (file === undefined)
      throw new CompilerError('CHECKPOINT_INVALID', `Expected a file number ${entry.file} of the checkpoint.`);
    return file;
  }
}

/** Tensor names with a model's prefix taken away, where any has it: `roberta.`, `bert.`, `model.`. */
export function withoutPrefix(checkpoint: Checkpoint, prefixes: readonly string[]): Renaming {
  const prefix = prefixes.find((one) => [...checkpoint.tensors.keys()].some((name) => name.startsWith(one)));
  return (name) => (prefix !== undefined && name.startsWith(prefix) ? name.slice(prefix.length) : name);
}
