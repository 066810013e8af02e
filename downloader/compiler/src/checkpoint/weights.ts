import { CompilerError } from '../errors.js';
import { type Checkpoint, PositionedFile, shown, type TensorEntry } from './checkpoint.js';
import { DATA_TYPES, toFloat32 } from './data-types.js';

/** Tensors that no graph needs: name patterns by reason. */
export type ExpectedUnused = Readonly<Record<string, RegExp>>;

/** Maps a tensor's name in the file to its name in the builders. */
export type Renaming = (name: string) => string;

/**
 * The weights of a checkpoint, each read on demand. Every tensor must be used or be listed as unused: a checkpoint with more
 * tensors than the graph is not the model in its config.
 */
export class Weights {
  readonly #entries = new Map<string, TensorEntry>();
  readonly #files: readonly PositionedFile[];
  readonly #used = new Set<string>();

  /** Throws TENSOR_UNEXPECTED if two tensors map to one name. */
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

  /** Reads a whole tensor as float32. Throws TENSOR_MISSING, TENSOR_SHAPE or TENSOR_NOT_FINITE. */
  take(name: string, shape: readonly number[]): Float32Array {
    return this.takeRows(name, shape, 0, shape[0] ?? 1);
  }

  /** Reads rows of a tensor, [count, ...], as float32: for tables that are read slice by slice. */
  takeRows(name: string, shape: readonly number[], start: number, count: number): Float32Array {
    const entry = this.#entry(name);
    if (entry.shape.length !== shape.length || entry.shape.some((size, axis) => size !== shape[axis])) {
      throw new CompilerError(
        'TENSOR_SHAPE',
        `Expected tensor ${name} to be [${shape.join(', ')}], as config.json says, got [${entry.shape.join(', ')}].`,
      );
    }
    this.#used.add(name);
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

  /** Throws TENSOR_UNEXPECTED for a tensor that was neither read nor listed as unused. */
  expectAllUsed(unused: ExpectedUnused): void {
    const patterns = Object.values(unused);
    const extra = [...this.#entries.keys()].filter(
      (name) => !this.#used.has(name) && !patterns.some((pattern) => pattern.test(name)),
    );
    if (extra.length > 0) {
      const more = extra.length > 1 ? ` and ${extra.length - 1} more` : '';
      throw new CompilerError(
        'TENSOR_UNEXPECTED',
        `Expected the tensors that config.json describes, also got ${shown(extra[0] ?? '')}${more}. config.json belongs to another model, or the architecture is not supported.`,
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

/** Removes a model's prefix from tensor names, if any has it: `roberta.`, `bert.`, `model.`. */
export function withoutPrefix(checkpoint: Checkpoint, prefixes: readonly string[]): Renaming {
  const prefix = prefixes.find((one) => [...checkpoint.tensors.keys()].some((name) => name.startsWith(one)));
  return (name) => (prefix !== undefined && name.startsWith(prefix) ? name.slice(prefix.length) : name);
}
