import { formatFirst } from '@heimdex/common';
import { CompilerError } from '../errors.js';
import { type Checkpoint, PositionedFile, shown, type TensorEntry } from './checkpoint.js';
import { DATA_TYPES, toFloat32 } from './data-types.js';

/** Tensors that no graph needs: name patterns by reason. */
export type ExpectedUnused = Readonly<Record<string, RegExp>>;

const OTHER_CONFIG =
  'config.json belongs to another model, or to an earlier state of this one: save both again, by save_pretrained of transformers.';

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

  /** Reads a whole tensor as float32. Throws TENSOR_MISSING, TENSOR_SHAPE or TENSOR_NOT_FINITE. */
  take(name: string, shape: readonly number[]): Float32Array {
    return this.takeRows(name, shape, 0, shape[0] ?? 1);
  }

  /** Reads rows of a tensor, [count, ...], as float32: for tables that are read slice by slice. */
  takeRows(name: string, shape: readonly number[], start: number, count: number): Float32Array {
    const entry = this.use(name, shape);
    const rowBytes = shape.slice(1).reduce((product, size) => product * size, DATA_TYPES[entry.type]);
    const bytes =
      entry.transposed === true
        ? this.#rowsOfColumns(entry, start, count)
        : this.#file(entry).read(entry.offset + start * rowBytes, count * rowBytes);
    if (bytes.length < count * rowBytes) {
      throw new CompilerError('CHECKPOINT_INVALID', `Expected all of tensor ${name}, but the file ends within it.`);
    }
    const values = toFloat32(entry.type, bytes, name);
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

  /** Notes that a graph needs a tensor. Throws TENSOR_MISSING, TENSOR_SHAPE. */
  protected use(name: string, shape: readonly number[]): TensorEntry {
    const entry = this.#entry(name);
    if (entry.shape.length !== shape.length || entry.shape.some((size, axis) => size !== shape[axis])) {
      throw new CompilerError(
        'TENSOR_SHAPE',
        `Expected tensor ${name} to be [${shape.join(', ')}], as config.json says, got [${entry.shape.join(', ')}]. ${OTHER_CONFIG}`,
      );
    }
    this.#used.add(name);
    return entry;
  }

  /** Throws TENSOR_UNEXPECTED for a tensor that was neither read nor listed as unused. */
  expectAllUsed(unused: ExpectedUnused): void {
    const patterns = Object.values(unused);
    const extra = [...this.#entries.keys()].filter(
      (name) => !this.#used.has(name) && !patterns.some((pattern) => pattern.test(name)),
    );
    if (extra.length > 0) {
      throw new CompilerError(
        'TENSOR_UNEXPECTED',
        `Expected the tensors that config.json describes, also got ${formatFirst(extra.map(shown))}. config.json belongs to another model, or the architecture is not supported.`,
      );
    }
  }

  close(): void {
    for (const file of this.#files) file.close();
  }

  #entry(name: string): TensorEntry {
    const entry = this.#entries.get(name);
    if (entry === undefined) {
      const longer = [...this.#entries.keys()].find((known) => known.endsWith(`.${name}`));
      const found = longer === undefined ? 'none of that name' : `${shown(longer)}, with another prefix`;
      const cure =
        longer === undefined
          ? OTHER_CONFIG
          : 'Save the model itself, not a wrapper of it: save_pretrained of transformers, after merge_and_unload of PEFT.';
      throw new CompilerError(
        'TENSOR_MISSING',
        `Expected the checkpoint to hold tensor ${name}, got ${found}. ${cure}`,
      );
    }
    return entry;
  }

  /** Rows of a matrix that is stored column by column. */
  #rowsOfColumns(entry: TensorEntry, start: number, count: number): Buffer {
    const [rows = 0, columns = 0] = entry.shape;
    const size = DATA_TYPES[entry.type];
    const file = this.#file(entry);
    const bytes = Buffer.allocUnsafeSlow(count * columns * size);
    for (let column = 0; column < columns; column++) {
      const part = file.read(entry.offset + (column * rows + start) * size, count * size);
      if (part.length < count * size) return part;
      for (let row = 0; row < count; row++)
        part.copy(bytes, (row * columns + column) * size, row * size, (row + 1) * size);
    }
    return bytes;
  }

  #file(entry: TensorEntry): PositionedFile {
    return this.#files[entry.file] as PositionedFile;
  }
}

/** Prefixes of wrappers around a model: DistributedDataParallel, torch.compile, and sentence-transformers' modules, in old and new versions. */
const WRAPPERS = ['module.', '_orig_mod.', '0.auto_model.', '0.model.'] as const;

/** Removes the prefixes of wrappers and a model's own from tensor names, if any has them: `roberta.`, `bert.`, `model.`. */
export function withoutPrefix(checkpoint: Checkpoint, prefixes: readonly string[]): Renaming {
  const names = [...checkpoint.tensors.keys()];
  const unwrapped = (name: string) => {
    let rest = name;
    for (let wrapper = wrapperOf(rest); wrapper !== undefined; wrapper = wrapperOf(rest))
      rest = rest.slice(wrapper.length);
    return rest;
  };
  const prefix = prefixes.find((one) => names.some((name) => unwrapped(name).startsWith(one)));
  return (name) => {
    const rest = unwrapped(name);
    return prefix !== undefined && rest.startsWith(prefix) ? rest.slice(prefix.length) : rest;
  };
}

function wrapperOf(name: string): string | undefined {
  return WRAPPERS.find((one) => name.startsWith(one));
}
