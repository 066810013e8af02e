/** Vectors as the contract writes them. */
import { create } from '@bufbuild/protobuf';
import { type EmbeddingResult, EmbeddingResultSchema, VectorEncoding } from '@heimdex/gen';
import type { VectorResult } from '../models/items.js';
import type { ItemResult } from './batch.js';
import { toStatus } from './errors.js';

/** Whether an encoding is written as bytes. */
export const ENCODINGS = {
  [VectorEncoding.UNSPECIFIED]: 'floats',
  [VectorEncoding.FLOATS]: 'floats',
  [VectorEncoding.FLOAT32_LE]: 'bytes',
} as const satisfies Record<VectorEncoding, string>;
export type EncodingName = (typeof ENCODINGS)[VectorEncoding];

export function toEmbeddingResult(item: ItemResult<VectorResult>, encoding: EncodingName): EmbeddingResult {
  if (!item.ok) return create(EmbeddingResultSchema, { result: { case: 'error', value: toStatus(item.error) } });
  const { vector, tokenCount, truncated } = item.value;
  const numbers = encoding === 'bytes' ? { float32Le: toLittleEndian(vector) } : { values: Array.from(vector) };
  return create(EmbeddingResultSchema, {
    result: { case: 'embedding', value: { ...numbers, tokenCount, truncated } },
  });
}

/** The machines this runs on are little endian, so the memory is the answer; another kind would swap. */
function toLittleEndian(vector: Float32Array): Uint8Array {
  const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
  if (LITTLE_ENDIAN) return bytes;
  return Buffer.from(bytes).swap32();
}

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
