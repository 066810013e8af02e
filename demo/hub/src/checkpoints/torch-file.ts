import { crc32 } from './crc32.js';
import { bytesOf } from './safetensors-file.js';
import type { NamedTensor } from './tensors.js';

/**
 * Returns a state dict in the format of torch.save: a zip with stored entries, a pickle (protocol 2) and the tensor bytes.
 * With `dims` it has the layout of OpenAI's .pt files: `dims` and `model_state_dict`.
 *
 * Source: torch/serialization.py; CPython's Lib/pickletools.py; PKWARE's APPNOTE.TXT.
 */
export function torchFile(tensors: readonly NamedTensor[], dims?: Readonly<Record<string, number>>): Buffer {
  const state = dictOf(tensors.map((tensor, index) => [tensor.name, tensorOf(String(index), tensor)]));
  const value =
    dims === undefined
      ? state
      : dictOf([
          ['dims', dictOf(Object.entries(dims).map(([name, number]) => [name, integer(number)]))],
          ['model_state_dict', state],
        ]);
  const pickle = Buffer.concat([Buffer.from([0x80, 2]), value, Buffer.from('.')]);
  return zip([
    ['archive/data.pkl', pickle],
    ['archive/byteorder', Buffer.from('little')],
    ...tensors.map(({ values }, index): [string, Buffer] => [`archive/data/${index}`, bytesOf(values)]),
    ['archive/version', Buffer.from('3\n')],
  ]);
}

/** Pickles a dictionary: EMPTY_DICT, MARK, keys and values, SETITEMS. */
function dictOf(entries: readonly (readonly [string, Buffer])[]): Buffer {
  return Buffer.concat([
    Buffer.from('}('),
    ...entries.flatMap(([name, value]) => [text(name), value]),
    Buffer.from('u'),
  ]);
}

function rowMajor(shape: readonly number[]): readonly number[] {
  return shape.map((_, axis) => shape.slice(axis + 1).reduce((product, size) => product * size, 1));
}

/** torch._utils._rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict()). */
function tensorOf(key: string, { shape, values, strides = rowMajor(shape) }: NamedTensor): Buffer {
  const type = values instanceof Float32Array ? 'FloatStorage' : 'HalfStorage';
  const storage = [
    Buffer.from('('),
    text('storage'),
    Buffer.from(`ctorch\n${type}\n`),
    text(key),
    text('cpu'),
    integer(values.length),
    Buffer.from('tQ'),
  ];
  return Buffer.concat([
    Buffer.from('ctorch._utils\n_rebuild_tensor_v2\n('),
    ...storage,
    integer(0),
    Buffer.from('('),
    ...shape.map(integer),
    Buffer.from('t('),
    ...strides.map(integer),
    Buffer.from('t\x89ccollections\nOrderedDict\n)RtR', 'latin1'),
  ]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  const head = Buffer.alloc(5);
  head.writeUInt8(0x58);
  head.writeUInt32LE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

function integer(value: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt8(0x4a);
  bytes.writeInt32LE(value, 1);
  return bytes;
}

function zip(entries: readonly (readonly [string, Buffer])[]): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, bytes] of entries) {
    const shared = Buffer.alloc(26);
    shared.writeUInt16LE(20);
    shared.writeUInt32LE(crc32(bytes), 10);
    shared.writeUInt32LE(bytes.length, 14);
    shared.writeUInt32LE(bytes.length, 18);
    shared.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), shared, Buffer.from(name), bytes]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00', 'latin1'), shared, tail, Buffer.from(name)]));
    parts.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(entries.length, 4);
  end.writeUInt16LE(entries.length, 6);
  end.writeUInt32LE(central.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...parts, central, Buffer.from('PK\x05\x06', 'latin1'), end]);
}
