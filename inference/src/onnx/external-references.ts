import { type ByteSource, type Field, fieldsOf } from '@heimdex/onnx';
import { withFileSource } from './source.js';

/** A tensor's reference to data outside the model file. */
export interface ExternalReference {
  readonly tensor: string;
  /** As in the file: not validated. */
  readonly location: string;
  /** In bytes. */
  readonly offset: number;
  /** In bytes. Undefined: the size of the tensor. */
  readonly length: number | undefined;
}

/**
 * Returns all references to external data in an ONNX file, of any tensor: initializers, sparse initializers, attributes (one
 * tensor or a list, dense or sparse), branches of If and Loop, functions, training graphs. Reads no weights. Blocks for a few
 * milliseconds.
 *
 * Throws if the file is not an ONNX model, or if a reference is ambiguous or is not a range of a file: parsers and the runtime
 * could interpret it differently.
 */
export function externalReferences(path: string): readonly ExternalReference[] {
  return withFileSource(path, (source) => {
    const found: ExternalReference[] = [];
    scan({ source, found }, 'model', 0, source.sizeBytes, 0);
    return found;
  });
}

/** Messages of onnx.proto that can contain a tensor: their fields by number, with the message type of each. */
const MESSAGES = {
  model: { 7: 'graph', 20: 'training', 25: 'function' },
  training: { 1: 'graph', 2: 'graph' },
  function: { 7: 'node', 11: 'attribute' },
  graph: { 1: 'node', 5: 'tensor', 15: 'sparse' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse' },
  sparse: { 1: 'tensor', 2: 'tensor' },
  tensor: {},
} as const satisfies Record<string, Readonly<Record<number, string>>>;

type MessageName = keyof typeof MESSAGES;

/** Fields that may occur once. Protocol buffers merges repeated ones; other parsers use the last. */
const SINGLE: Readonly<Partial<Record<MessageName, readonly number[]>>> = {
  model: [7],
  training: [1, 2],
  attribute: [5, 6, 22],
  sparse: [1, 2],
};

/** Maximum nesting of messages, as in the runtime's parser. */
const MAX_DEPTH = 100;
const TENSOR_FIELDS = { name: 8, externalData: 13 } as const;
const ENTRY_FIELDS = { key: 1, value: 2 } as const;

interface Scan {
  readonly source: ByteSource;
  readonly found: ExternalReference[];
}

function scan(state: Scan, name: MessageName, start: number, end: number, depth: number): void {
  if (depth > MAX_DEPTH) throw new Error(`Expected an ONNX model with at most ${MAX_DEPTH} nested messages.`);
  if (name === 'tensor') return scanTensor(state, start, end);
  const children: Readonly<Record<number, MessageName>> = MESSAGES[name];
  const seen = new Set<number>();
  for (const field of fieldsOf(state.source, start, end)) {
    const child = children[field.number];
    if (child === undefined) continue;
    if (field.wireType !== 2) throw new Error(`Expected a message in field ${field.number} of a ${name}.`);
    if (SINGLE[name]?.includes(field.number)) {
      if (seen.has(field.number)) throw new Error(`Expected one field ${field.number} in a ${name}, got several.`);
      seen.add(field.number);
    }
    scan(state, child, field.offset, field.offset + field.length, depth + 1);
  }
}

function scanTensor({ source, found }: Scan, start: number, end: number): void {
  const entries = new Map<string, string>();
  let tensor = '';
  for (const field of fieldsOf(source, start, end)) {
    if (field.number === TENSOR_FIELDS.name) tensor = text(source, field);
    else if (field.number === TENSOR_FIELDS.externalData) {
      const [key, value] = entry(source, field);
      if (entries.has(key)) throw refused(tensor, `has "${key}" twice`);
      entries.set(key, value);
    }
  }
  if (entries.size === 0) return;
  const { location, offset, length, ...others } = Object.fromEntries(entries);
  // A checksum is ignored: the hash of the whole file is known.
  const unknown = Object.keys(others).find((key) => key !== 'checksum');
  if (unknown !== undefined) throw refused(tensor, `has a "${unknown}", expected location, offset and length`);
  if (location === undefined) throw refused(tensor, 'has no location');
  found.push({
    tensor,
    location,
    offset: offset === undefined ? 0 : byteCount(tensor, 'offset', offset),
    length: length === undefined ? undefined : byteCount(tensor, 'length', length),
  });
}

function entry(source: ByteSource, field: Field): [string, string] {
  const parts = new Map<number, string>();
  for (const part of fieldsOf(source, field.offset, field.offset + field.length)) {
    if (parts.has(part.number)) throw new Error('Expected one key and one value in an entry of external data.');
    parts.set(part.number, text(source, part));
  }
  return [parts.get(ENTRY_FIELDS.key) ?? '', parts.get(ENTRY_FIELDS.value) ?? ''];
}

/** A file name must be the same to every parser: invalid UTF-8 is an error, and a byte order mark is kept. */
const DECODER = { fatal: true, ignoreBOM: true } as const;

function text(source: ByteSource, field: Field): string {
  return new TextDecoder('utf-8', DECODER).decode(source.bytes(field.offset, field.length));
}

function byteCount(tensor: string, what: string, value: string): number {
  if (/^\d{1,15}$/.test(value)) return Number(value);
  throw refused(tensor, `has the ${what} ${JSON.stringify(value.slice(0, 40))}, expected a number of bytes`);
}

function refused(tensor: string, what: string): Error {
  return new Error(`The external data of the tensor ${JSON.stringify(tensor.slice(0, 80))} ${what}.`);
}
