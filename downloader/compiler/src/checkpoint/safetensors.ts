import { basename } from 'node:path';
import { CompilerError } from '../errors.js';
import { elementCount, MAX_CONTENTS_BYTES, PositionedFile, shown, type TensorEntry } from './checkpoint.js';
import { DATA_TYPES, isDataType } from './data-types.js';

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
  const text = opened.read(8, Number(headerBytes)).toString('utf8');
  const header = parseHeader(text);
  if (header === undefined) throw invalid('a header that is not a JSON object');
  const base = 8 + Number(headerBytes);
  const tensors = new Map<string, TensorEntry>();
  for (const [tensor, described] of Object.entries(header)) {
    if (tensor === '__metadata__') continue;
    const { dtype, shape, data_offsets: offsets } = described as Partial<Record<string, unknown>>;
    if (!isNumbers(shape) || !isNumbers(offsets) || offsets.length !== 2 || typeof dtype !== 'string') {
      throw invalid(`no dtype, shape and data_offsets for tensor ${shown(tensor)}`);
    }
    if (!isDataType(dtype)) {
      throw new CompilerError(
        'CHECKPOINT_UNSUPPORTED',
        `Expected tensor ${shown(tensor)} of ${name} to be of F32, F16 or BF16, got ${shown(dtype)}.`,
      );
    }
    const [begin = 0, end = 0] = offsets;
    const sizeBytes = elementCount(shape) * DATA_TYPES[dtype];
    if (end - begin !== sizeBytes) {
      throw invalid(
        `${end - begin} bytes for tensor ${shown(tensor)} of shape [${shown(shape.join(', '))}] and type ${dtype}`,
      );
    }
    if (begin < 0 || base + end > opened.sizeBytes) throw invalid(`tensor ${shown(tensor)} beyond the end of the file`);
    tensors.set(tensor, { type: dtype, shape, file, offset: base + begin, sizeBytes });
  }
  // Of duplicate keys JSON keeps the last one, and another program may read the first.
  if (text.split('"data_offsets"').length - 1 !== tensors.size) throw invalid('a header that names a tensor twice');
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

function parseHeader(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isTable =
      typeof value === 'object' &&
      value !== null &&
      !Array.isArray(value) &&
      Object.values(value).every((one) => typeof one === 'object' && one !== null);
    return isTable ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((one) => Number.isSafeInteger(one));
}
