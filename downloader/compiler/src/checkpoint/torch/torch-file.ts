import { basename } from 'node:path';
import { CompilerError } from '../../errors.js';
import {
  type Checkpoint,
  elementCount,
  MAX_CONTENTS_BYTES,
  PositionedFile,
  shown,
  type TensorEntry,
} from '../checkpoint.js';
import { DATA_TYPES, type DataType } from '../data-types.js';
import { isKind, type Pickled, type TensorReference } from './pickled.js';
import { Unpickler } from './unpickle.js';
import { readZipDirectory, type ZipEntry } from './zip-directory.js';

const ZIP_MAGIC = 0x04034b50;
/** The first value of a file in torch's format before 1.6. */
const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn;

/**
 * Reads the table of contents of a file of torch.save: in its zip format, or in the older format of consecutive pickles and
 * storages. The state dict may be the file's value, or its `model_state_dict` (OpenAI's Whisper, next to `dims`) or
 * `state_dict`. Throws CHECKPOINT_INVALID, CHECKPOINT_REFUSED or CHECKPOINT_UNSUPPORTED.
 */
export function readTorchFile(path: string, file = 0): Checkpoint {
  const opened = new PositionedFile(path);
  try {
    const start = opened.read(0, 4);
    const isZip = start.length === 4 && start.readUInt32LE(0) === ZIP_MAGIC;
    const { value, storages } = isZip ? readZip(opened) : readLegacy(opened);
    if (!(value instanceof Map)) throw noStateDict(basename(path), 'something else');
    const state = stateOf(value);
    const tensors = new Map<string, TensorEntry>();
    for (const [name, tensor] of state) {
      if (typeof name !== 'string' || !isKind(tensor, 'tensor')) continue;
      tensors.set(name, entryOf(name, tensor, storages, file));
    }
    if (tensors.size === 0) {
      const names = [...state.keys()].filter((key) => typeof key === 'string').slice(0, 5);
      throw noStateDict(basename(path), shown(names.join(', ')) || 'nothing');
    }
    const dims = value.get('dims');
    return { files: [path], tensors, ...(dims instanceof Map ? { dims: numbersOf(dims) } : {}) };
  } finally {
    opened.close();
  }
}

interface TorchContents {
  readonly value: Pickled;
  /** Locations of the storages' bytes. */
  readonly storages: ReadonlyMap<string, ZipEntry>;
}

function readZip(file: PositionedFile): TorchContents {
  const entries = readZipDirectory(file);
  const pickle = [...entries].find(([name]) => name.endsWith('/data.pkl'));
  if (pickle === undefined) {
    throw new CompilerError(
      'CHECKPOINT_INVALID',
      `Expected ${basename(file.path)} to hold data.pkl, as torch.save writes it, got none.`,
    );
  }
  const [name, { offset, sizeBytes }] = pickle;
  const root = name.slice(0, -'data.pkl'.length);
  const order = entries.get(`${root}byteorder`);
  if (order !== undefined && file.read(order.offset, Math.min(order.sizeBytes, 16)).toString('utf8') !== 'little') {
    throw new CompilerError(
      'CHECKPOINT_UNSUPPORTED',
      `Expected ${basename(file.path)} to be little endian, got big endian.`,
    );
  }
  if (sizeBytes > MAX_CONTENTS_BYTES) throw tooLarge(file, sizeBytes);
  const storages = new Map<string, ZipEntry>();
  for (const [name, entry] of entries)
    if (name.startsWith(`${root}data/`)) storages.set(name.slice(root.length + 5), entry);
  return { value: new Unpickler(file.read(offset, sizeBytes)).read(), storages };
}

/** Magic number, protocol, system info, the value, the storages' keys: each a pickle. Then the storages themselves. */
function readLegacy(file: PositionedFile): TorchContents {
  const bytes = file.read(0, MAX_CONTENTS_BYTES);
  let at = 0;
  // The older format has the storages' sizes in elements.
  const types = new Map<string, DataType>();
  const next = (): Pickled => {
    const unpickler = new Unpickler(bytes, at);
    const value = unpickler.read();
    at = unpickler.end;
    for (const [key, type] of unpickler.storages) types.set(key, type);
    return value;
  };
  const unknown = () =>
    new CompilerError(
      'CHECKPOINT_INVALID',
      `Expected ${basename(file.path)} to be a file of torch.save, got another kind of file.`,
    );
  if (bytes[0] !== 0x80) throw unknown();
  if (next() !== LEGACY_MAGIC) throw unknown();
  next();
  next();
  const value = next();
  const keys = next();
  if (!Array.isArray(keys)) throw unknown();
  const storages = new Map<string, ZipEntry>();
  for (const one of keys) {
    if (typeof one !== 'string' && typeof one !== 'number') throw unknown();
    const key = String(one);
    const count = file.read(at, 8);
    if (count.length < 8) throw tooShort(file);
    const sizeBytes = Number(count.readBigInt64LE()) * DATA_TYPES[types.get(key) ?? 'U8'];
    if (!(sizeBytes >= 0 && at + 8 + sizeBytes <= file.sizeBytes)) throw tooShort(file);
    storages.set(key, { offset: at + 8, sizeBytes });
    at += 8 + sizeBytes;
  }
  return { value, storages };
}

function stateOf(value: Map<Pickled, Pickled>): Map<Pickled, Pickled> {
  for (const key of ['model_state_dict', 'state_dict']) {
    const inner = value.get(key);
    if (inner instanceof Map) return inner;
  }
  return value;
}

function noStateDict(name: string, found: string): CompilerError {
  return new CompilerError(
    'CHECKPOINT_UNSUPPORTED',
    `Expected ${name} to hold a state dict, got ${found}. Save model.state_dict().`,
  );
}

function entryOf(
  name: string,
  { storage, offset, shape, stride }: TensorReference,
  storages: ReadonlyMap<string, ZipEntry>,
  file: number,
): TensorEntry {
  const size = DATA_TYPES[storage.type];
  const count = elementCount(shape);
  const stored = storages.get(storage.key);
  const [rows = 0, columns = 0, ...others] = shape;
  const transposed = others.length === 0 && rows > 1 && columns > 1 && stride[0] === 1 && stride[1] === rows;
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0 && !transposed; axis--) {
    const length = shape[axis] ?? 1;
    if (length > 1 && stride[axis] !== step) {
      throw new CompilerError(
        'CHECKPOINT_UNSUPPORTED',
        `Expected tensor ${shown(name)} to be contiguous, got strides [${shown(stride.slice(0, 8).join(', '))}]. Save the model again, as safetensors: save_pretrained of transformers.`,
      );
    }
    step *= length;
  }
  // After its strides: the storage of one that was expanded has fewer elements than its shape.
  if (!(offset >= 0 && stored !== undefined && (offset + count) * size <= stored.sizeBytes)) {
    throw new CompilerError(
      'CHECKPOINT_INVALID',
      `Expected the ${count} elements of tensor ${shown(name)} within its storage, got ${stored?.sizeBytes ?? 0} bytes. Download the file again.`,
    );
  }
  const entry = { type: storage.type, shape, file, offset: stored.offset + offset * size, sizeBytes: count * size };
  return transposed ? { ...entry, transposed } : entry;
}

function numbersOf(table: Map<Pickled, Pickled>): Record<string, number> {
  const numbers: Record<string, number> = {};
  for (const [key, value] of table) if (typeof key === 'string' && typeof value === 'number') numbers[key] = value;
  return numbers;
}

function tooLarge(file: PositionedFile, sizeBytes: number): CompilerError {
  return new CompilerError(
    'CHECKPOINT_UNSUPPORTED',
    `Expected the pickle of ${basename(file.path)} to have at most ${MAX_CONTENTS_BYTES} bytes, got ${sizeBytes}.`,
  );
}

function tooShort(file: PositionedFile): CompilerError {
  return new CompilerError(
    'CHECKPOINT_INVALID',
    `Expected ${basename(file.path)} to hold all of its storages, but it ends before. Download it again.`,
  );
}
