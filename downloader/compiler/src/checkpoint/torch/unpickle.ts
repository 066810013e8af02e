import type { DataType } from '../data-types.js';
import { OPCODES } from './opcodes.js';
import { globalOf, invalid, isKind, type Pickled, refused, storageOf } from './pickled.js';

/**
 * Reads the values of a pickle of tensors without running it. Supports protocols 2 to 5, the opcodes that torch.save writes and
 * the globals of a state dict. Throws CHECKPOINT_REFUSED for any other global, CHECKPOINT_INVALID for invalid bytes. Time and
 * memory are bounded by the number of opcodes.
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
  #tables = 0;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  /** End of the pickle, after reading. */
  get end(): number {
    return this.#at;
  }

  /** Element types of its storages, by key. */
  get storages(): ReadonlyMap<string, DataType> {
    return this.#storages;
  }

  read(): Pickled {
    try {
      for (let count = 0; count < MAX_OPCODES; count++) {
        const opcode = this.#number('uint8');
        if (opcode === OPCODES.STOP) return this.#pop();
        this.#do(opcode);
      }
    } catch (error) {
      if (error instanceof RangeError) throw invalid('it ends in the middle');
      throw error;
    }
    throw refused(`it has more than ${MAX_OPCODES} opcodes`);
  }

  #do(opcode: number): void {
    switch (opcode) {
      case OPCODES.PROTO:
        if (this.#number('uint8') > 5) throw invalid('it is of a protocol above 5');
        return;
      case OPCODES.FRAME:
        return this.#skip(8);
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
        return this.#append(this.#last(1));
      case OPCODES.APPENDS:
        return this.#append(this.#toMark());
      case OPCODES.SETITEM:
        return this.#setItems(this.#last(2));
      case OPCODES.SETITEMS:
        return this.#setItems(this.#toMark());
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
        // The `_metadata` of a state dict, which does not affect the tensors.
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
    // A table takes more memory than any other value of one opcode.
    if (value instanceof Map && ++this.#tables > MAX_TABLES) throw refused(`it has more than ${MAX_TABLES} tables`);
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

  /** Little endian, two's complement: a number if it is safe, else a bigint. */
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

/** Readers of numbers in a pickle. */
const NUMBERS = {
  uint8: { sizeBytes: 1, read: (bytes: Buffer, at: number) => bytes.readUInt8(at) },
  uint16: { sizeBytes: 2, read: (bytes: Buffer, at: number) => bytes.readUInt16LE(at) },
  uint32: { sizeBytes: 4, read: (bytes: Buffer, at: number) => bytes.readUInt32LE(at) },
  int32: { sizeBytes: 4, read: (bytes: Buffer, at: number) => bytes.readInt32LE(at) },
  float64: { sizeBytes: 8, read: (bytes: Buffer, at: number) => bytes.readDoubleBE(at) },
} as const;

/** A large model's state dict has some hundred thousand. */
const MAX_OPCODES = 2_000_000;
/** Each tensor has one, and about 40 opcodes. */
const MAX_TABLES = 100_000;
