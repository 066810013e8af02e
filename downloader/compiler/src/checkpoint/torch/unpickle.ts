import { CompilerError } from '../../errors.js';
import { shown } from '../checkpoint.js';
import type { DataType } from '../data-types.js';

/** A storage that a pickle names: the bytes lie elsewhere in the file. */
export interface StorageReference {
  readonly kind: 'storage';
  readonly type: DataType;
  readonly key: string;
}

/** A tensor of a pickle: a view of a storage. Offsets and strides in elements. */
export interface TensorReference {
  readonly kind: 'tensor';
  readonly storage: StorageReference;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly stride: readonly number[];
}

/** What stands in a pickle of tensors. */
export type Pickled =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Pickled[]
  | Map<Pickled, Pickled>
  | StorageReference
  | TensorReference
  | StorageType
  | Callable;

interface StorageType {
  readonly kind: 'storage type';
  readonly type: DataType;
}

interface Callable {
  readonly kind: 'callable';
  call(args: readonly Pickled[]): Pickled;
}

const STORAGE_TYPES: Readonly<Record<string, DataType>> = {
  DoubleStorage: 'F64',
  FloatStorage: 'F32',
  HalfStorage: 'F16',
  BFloat16Storage: 'BF16',
  LongStorage: 'I64',
  IntStorage: 'I32',
  ShortStorage: 'I16',
  CharStorage: 'I8',
  ByteStorage: 'U8',
  BoolStorage: 'BOOL',
};

/** All that a state dict needs. Whatever else a pickle names is refused, and nothing of it is run. */
const CALLABLES: Readonly<Record<string, (args: readonly Pickled[]) => Pickled>> = {
  'collections OrderedDict': () => new Map(),
  'torch._utils _rebuild_tensor_v2': rebuildTensor,
  'torch._utils _rebuild_parameter': ([tensor]) => tensor ?? null,
};

/**
 * The values of a pickle of tensors, read without running it. Protocols 2 to 5, the opcodes that torch.save writes and the
 * globals of a state dict. Throws CHECKPOINT_REFUSED for any other global, CHECKPOINT_INVALID for bytes that are no pickle.
 * Memory is bounded by the number of its values.
 *
 * Source: CPython's Lib/pickletools.py; torch/serialization.py and torch/_utils.py.
 */
export class Unpickler {
  readonly #bytes: Buffer;
  #at: number;
  readonly #stack: Pickled[] = [];
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, Pickled>();
  readonly #storages = new Map<string, DataType>();
  #valueCount = 0;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  /** Where the pickle ended, once it is read. */
  get end(): number {
    return this.#at;
  }

  /** Element types of the storages that it names, by their keys. */
  get storages(): ReadonlyMap<string, DataType> {
    return this.#storages;
  }

  read(): Pickled {
    try {
      for (;;) {
        const opcode = this.#number('uint8');
        if (opcode === OPCODES.STOP) return this.#pop();
        this.#do(opcode);
      }
    } catch (error) {
      if (error instanceof RangeError) throw invalid('it ends in the middle');
      throw error;
    }
  }

  #do(opcode: number): void {
    switch (opcode) {
      case OPCODES.PROTO:
        if (this.#number('uint8') > 5) throw invalid('it is of a protocol above 5');
        return;
      case OPCODES.FRAME:
        this.#skip(8);
        return;
      case OPCODES.MARK:
        this.#marks.push(this.#stack.length);
        return;
      case OPCODES.NONE:
        return this.#push(null);
      case OPCODES.NEWTRUE:
        return this.#push(true);
      case OPCODES.NEWFALSE:
        return this.#push(false);
      case OPCODES.BININT1:
        return this.#push(this.#number('uint8'));
      case OPCODES.BININT2:
        return this.#push(this.#number('uint16'));
      case OPCODES.BININT:
        return this.#push(this.#number('int32'));
      case OPCODES.LONG1:
        return this.#push(this.#long(this.#number('uint8')));
      case OPCODES.BINFLOAT:
        return this.#push(this.#number('float64'));
      case OPCODES.SHORT_BINSTRING:
      case OPCODES.SHORT_BINUNICODE:
        return this.#push(this.#text(this.#number('uint8')));
      case OPCODES.BINSTRING:
      case OPCODES.BINUNICODE:
        return this.#push(this.#text(this.#number('uint32')));
      case OPCODES.SHORT_BINBYTES:
        return this.#push(this.#raw(this.#number('uint8')));
      case OPCODES.BINBYTES:
        return this.#push(this.#raw(this.#number('uint32')));
      case OPCODES.EMPTY_DICT:
        return this.#push(new Map());
      case OPCODES.EMPTY_LIST:
      case OPCODES.EMPTY_TUPLE:
        return this.#push([]);
      case OPCODES.TUPLE:
        return this.#push(this.#toMark());
      case OPCODES.TUPLE1:
      case OPCODES.TUPLE2:
      case OPCODES.TUPLE3:
        return this.#push(this.#last(opcode - OPCODES.TUPLE1 + 1));
      case OPCODES.APPEND:
        this.#append(this.#last(1));
        return;
      case OPCODES.APPENDS:
        this.#append(this.#toMark());
        return;
      case OPCODES.SETITEM:
        this.#setItems(this.#last(2));
        return;
      case OPCODES.SETITEMS:
        this.#setItems(this.#toMark());
        return;
      case OPCODES.BINPUT:
        this.#memo.set(this.#number('uint8'), this.#top());
        return;
      case OPCODES.LONG_BINPUT:
        this.#memo.set(this.#number('uint32'), this.#top());
        return;
      case OPCODES.MEMOIZE:
        this.#memo.set(this.#memo.size, this.#top());
        return;
      case OPCODES.BINGET:
        return this.#push(this.#recall(this.#number('uint8')));
      case OPCODES.LONG_BINGET:
        return this.#push(this.#recall(this.#number('uint32')));
      case OPCODES.GLOBAL:
        return this.#push(globalOf(this.#line(), this.#line()));
      case OPCODES.STACK_GLOBAL: {
        const [module, name] = this.#last(2);
        if (typeof module !== 'string' || typeof name !== 'string')
          throw invalid('it names a global by what is no text');
        return this.#push(globalOf(module, name));
      }
      case OPCODES.REDUCE: {
        const [callable, args] = this.#last(2);
        if (!isKind(callable, 'callable') || !Array.isArray(args)) throw refused('it calls what is no function');
        return this.#push(callable.call(args));
      }
      case OPCODES.BUILD:
        // The `_metadata` of a state dict, which says nothing of the tensors.
        this.#pop();
        if (!(this.#top() instanceof Map)) throw refused('it sets the state of an object');
        return;
      case OPCODES.BINPERSID: {
        const storage = storageOf(this.#pop());
        this.#storages.set(storage.key, storage.type);
        return this.#push(storage);
      }
      default:
        throw refused(`it has the opcode 0x${opcode.toString(16).padStart(2, '0')} at byte ${this.#at - 1}`);
    }
  }

  #push(value: Pickled): void {
    this.#valueCount += 1;
    if (this.#valueCount > MAX_VALUES) throw refused(`it has more than ${MAX_VALUES} values`);
    this.#stack.push(value);
  }

  #pop(): Pickled {
    return this.#last(1)[0] ?? null;
  }

  #top(): Pickled {
    const value = this.#stack.at(-1);
    if (value === undefined) throw invalid('its stack is empty');
    return value;
  }

  #last(count: number): Pickled[] {
    if (this.#stack.length - (this.#marks.at(-1) ?? 0) < count) throw invalid('its stack is empty');
    return this.#stack.splice(this.#stack.length - count, count);
  }

  #toMark(): Pickled[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw invalid('a mark is missing');
    return this.#stack.splice(mark);
  }

  #append(values: readonly Pickled[]): void {
    const list = this.#top();
    if (!Array.isArray(list)) throw invalid('it appends to what is no list');
    for (const value of values) list.push(value);
  }

  #setItems(values: readonly Pickled[]): void {
    const table = this.#top();
    if (!(table instanceof Map)) throw refused('it sets items of an object');
    for (let i = 0; i + 1 < values.length; i += 2) table.set(values[i] ?? null, values[i + 1] ?? null);
  }

  #recall(index: number): Pickled {
    const value = this.#memo.get(index);
    if (value === undefined) throw invalid(`nothing was kept as number ${index}`);
    return value;
  }

  #number(kind: keyof typeof NUMBERS): number {
    const { sizeBytes, read } = NUMBERS[kind];
    const at = this.#at;
    this.#skip(sizeBytes);
    return read(this.#bytes, at);
  }

  #raw(length: number): Uint8Array {
    const at = this.#at;
    this.#skip(length);
    return this.#bytes.subarray(at, this.#at);
  }

  #text(length: number): string {
    return Buffer.from(this.#raw(length)).toString('utf8');
  }

  /** Little endian, two's complement: a number where it is safe, else a bigint. */
  #long(length: number): number | bigint {
    const bytes = this.#raw(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] ?? 0);
    const signed = BigInt.asIntN(8 * length, value);
    return Number.isSafeInteger(Number(signed)) ? Number(signed) : signed;
  }

  #line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    if (end < 0) throw invalid('it ends in the middle');
    const line = this.#bytes.toString('utf8', this.#at, end);
    this.#at = end + 1;
    return line;
  }

  #skip(count: number): void {
    if (this.#at + count > this.#bytes.length) throw invalid('it ends in the middle');
    this.#at += count;
  }
}

/** How to read numbers out of a pickle. */
const NUMBERS = {
  uint8: { sizeBytes: 1, read: (bytes: Buffer, at: number) => bytes.readUInt8(at) },
  uint16: { sizeBytes: 2, read: (bytes: Buffer, at: number) => bytes.readUInt16LE(at) },
  uint32: { sizeBytes: 4, read: (bytes: Buffer, at: number) => bytes.readUInt32LE(at) },
  int32: { sizeBytes: 4, read: (bytes: Buffer, at: number) => bytes.readInt32LE(at) },
  float64: { sizeBytes: 8, read: (bytes: Buffer, at: number) => bytes.readDoubleBE(at) },
} as const;

/** A large model's state dict has some hundred thousand. */
const MAX_VALUES = 2_000_000;

/** By the names of pickletools. */
const OPCODES = {
  MARK: 0x28,
  EMPTY_TUPLE: 0x29,
  STOP: 0x2e,
  BINBYTES: 0x42,
  SHORT_BINBYTES: 0x43,
  BINFLOAT: 0x47,
  BININT: 0x4a,
  BININT1: 0x4b,
  BININT2: 0x4d,
  NONE: 0x4e,
  BINPERSID: 0x51,
  REDUCE: 0x52,
  BINSTRING: 0x54,
  SHORT_BINSTRING: 0x55,
  BINUNICODE: 0x58,
  EMPTY_LIST: 0x5d,
  APPEND: 0x61,
  BUILD: 0x62,
  GLOBAL: 0x63,
  APPENDS: 0x65,
  BINGET: 0x68,
  LONG_BINGET: 0x6a,
  BINPUT: 0x71,
  LONG_BINPUT: 0x72,
  SETITEM: 0x73,
  TUPLE: 0x74,
  SETITEMS: 0x75,
  EMPTY_DICT: 0x7d,
  PROTO: 0x80,
  TUPLE1: 0x85,
  TUPLE2: 0x86,
  TUPLE3: 0x87,
  NEWTRUE: 0x88,
  NEWFALSE: 0x89,
  LONG1: 0x8a,
  SHORT_BINUNICODE: 0x8c,
  STACK_GLOBAL: 0x93,
  MEMOIZE: 0x94,
  FRAME: 0x95,
} as const;

function globalOf(module: string, name: string): Pickled {
  const type = module === 'torch' && Object.hasOwn(STORAGE_TYPES, name) ? STORAGE_TYPES[name] : undefined;
  if (type !== undefined) return { kind: 'storage type', type };
  const id = `${module} ${name}`;
  const call = Object.hasOwn(CALLABLES, id) ? CALLABLES[id] : undefined;
  if (call === undefined) throw refused(`it asks for ${shown(`${module}.${name}`)}`);
  return { kind: 'callable', call };
}

/** A persistent id of torch: ('storage', type, key, location, element count). */
function storageOf(id: Pickled): StorageReference {
  const [tag, type, key] = Array.isArray(id) ? id : [];
  if (tag !== 'storage' || !isKind(type, 'storage type')) throw refused('it names an object outside the file');
  if (typeof key !== 'string' && typeof key !== 'number') throw invalid('it names a storage by what is no text');
  return { kind: 'storage', type: type.type, key: String(key) };
}

function rebuildTensor([storage, offset, shape, stride]: readonly Pickled[]): TensorReference {
  if (!isKind(storage, 'storage') || typeof offset !== 'number' || !isNumbers(shape) || !isNumbers(stride)) {
    throw invalid('it describes a tensor without storage, offset, shape or stride');
  }
  return { kind: 'tensor', storage, offset, shape, stride };
}

/** Whether a value of a pickle is of that kind. */
export function isKind<Kind extends 'storage' | 'tensor' | 'storage type' | 'callable'>(
  value: Pickled | undefined,
  kind: Kind,
): value is Extract<Pickled, { readonly kind: Kind }> {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === kind;
}

function isNumbers(value: Pickled | undefined): value is number[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'number');
}

function refused(why: string): CompilerError {
  return new CompilerError(
    'CHECKPOINT_REFUSED',
    `Expected a pickle that holds tensors and nothing else, but ${why}. Nothing of it was run. Use a safetensors file of the model instead.`,
  );
}

function invalid(why: string): CompilerError {
  return new CompilerError(
    'CHECKPOINT_INVALID',
    `Expected a pickle of torch.save, but ${why}. Download the file again.`,
  );
}
