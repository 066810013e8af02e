import { basename } from 'node:path';
import { isObject, type JsonObject, parseForeignJson } from '@heimdex/common';
import { CompilerError } from '../errors.js';
import { elementCount, MAX_CONTENTS_BYTES, PositionedFile, shown, type TensorEntry } from './checkpoint.js';
import { DATA_TYPES, isDataType, otherType } from './data-types.js';

/**
 * Reads the table of contents of a safetensors file: eight bytes with the header's length, the header (JSON), the tensors. Throws
 * CHECKPOINT_INVALID for offsets that overlap, leave holes, end beyond the file or do not match the shape, as the reference
 * implementation does; CHECKPOINT_UNSUPPORTED for an unknown element type.
 *
 * Source: github.com/huggingface/safetensors, "Format".
 */
export function readSafetensors(path: string, file = 0): ReadonlyMap<string, TensorEntry> {
  const opened = new PositionedFile(path);
  try {
    return entriesOf(opened, file);
  } finally {
    opened.close();
  }
}

function entriesOf(opened: PositionedFile, file: number): ReadonlyMap<string, TensorEntry> {
  const name = basename(opened.path);
  const invalid = (found: string) =>
    new CompilerError(
      'CHECKPOINT_INVALID',
      `Expected ${name} to be a safetensors file, got ${found}. Download it again.`,
    );
  const length = opened.read(0, 8);
  if (length.length < 8) throw invalid(`a file of ${opened.sizeBytes} bytes`);
  const headerBytes = length.readBigUInt64LE();
  if (Number(headerBytes) + 8 > opened.sizeBytes) {
    throw invalid(`a header of ${headerBytes} bytes in a file of ${opened.sizeBytes}`);
  }
  if (headerBytes > MAX_CONTENTS_BYTES) {
    throw new CompilerError(
      'CHECKPOINT_INVALID',
      `Expected the header of ${name} to have at most ${MAX_CONTENTS_BYTES} bytes, got ${headerBytes}. Save it again: save_pretrained of transformers.`,
    );
  }
  const header = parseHeader(opened.read(8, Number(headerBytes)).toString('utf8'), invalid);
  const base = 8 + Number(headerBytes);
  const tensors = new Map<string, TensorEntry>();
  for (const [tensor, described] of Object.entries(header)) {
    if (tensor === '__metadata__') continue;
    const entry = { ...entryOf(tensor, described, invalid), file };
    const offset = base + entry.offset;
    if (entry.offset < 0 || offset + entry.sizeBytes > opened.sizeBytes)
      throw invalid(`tensor ${shown(tensor)} beyond the end of the file`);
    tensors.set(tensor, { ...entry, offset });
  }
  let covered = base;
  for (const [tensor, { offset, sizeBytes }] of [...tensors].sort(
    ([, a], [, b]) => a.offset - b.offset || a.sizeBytes - b.sizeBytes,
  )) {
    if (offset !== covered)
      throw invalid(`tensor ${shown(tensor)} at byte ${offset} instead of ${covered}, where the one before ends`);
    covered += sizeBytes;
  }
  if (covered !== opened.sizeBytes) throw invalid(`${opened.sizeBytes - covered} bytes that belong to no tensor`);
  return tensors;
}

/** What the header says of a tensor, with its offset behind the header. */
function entryOf(
  tensor: string,
  described: unknown,
  invalid: (found: string) => CompilerError,
): Omit<TensorEntry, 'file'> {
  if (!isObject(described)) throw invalid(`no JSON object for tensor ${shown(tensor)}`);
  const { dtype, shape, data_offsets: offsets } = described;
  if (!isNumbers(shape) || !isNumbers(offsets) || offsets.length !== 2 || typeof dtype !== 'string') {
    throw invalid(`no dtype, shape and data_offsets for tensor ${shown(tensor)}`);
  }
  if (!isDataType(dtype)) throw otherType(shown(tensor), shown(dtype));
  const [offset = 0, end = 0] = offsets;
  const sizeBytes = elementCount(shape) * DATA_TYPES[dtype];
  if (end - offset !== sizeBytes) {
    throw invalid(
      `${end - offset} bytes for tensor ${shown(tensor)} of shape [${shown(shape.join(', '))}] and type ${dtype}`,
    );
  }
  return { type: dtype, shape, offset, sizeBytes };
}

function parseHeader(text: string, invalid: (found: string) => CompilerError): JsonObject {
  try {
    const header = parseForeignJson(text, { uniqueKeys: true });
    if (isObject(header)) return header;
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw invalid(`a header that is no JSON: "${shown(cause.message)}"`);
  }
  throw invalid('a header that is no JSON object');
}

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((one) => Number.isSafeInteger(one));
}
