/** The answer of the embedding methods: a vector per item, in the contract's encodings. */
import { create } from '@bufbuild/protobuf';
import { type EmbeddingResult, EmbeddingResultSchema, VectorEncoding } from '@heimdex/gen';
import type { ImageItem, TextItem, VectorResult } from '../models/items.js';
import { type ItemResult, runBatch } from './batch.js';
import type { Call } from './call.js';
import { checkEnum } from './check.js';
import type { ServedModel } from './engine.js';
import { toStatus } from './errors.js';
import { toModel } from './identity.js';

/** The representation of each encoding. */
const ENCODINGS = {
  [VectorEncoding.UNSPECIFIED]: 'floats',
  [VectorEncoding.FLOATS]: 'floats',
  [VectorEncoding.FLOAT32_LE]: 'bytes',
} as const satisfies Record<VectorEncoding, string>;
type EncodingName = (typeof ENCODINGS)[VectorEncoding];

/** Runs the items of a call and returns its response. Throws errors of the call as a whole. */
export async function embed(
  model: ServedModel,
  items: readonly (ImageItem | TextItem)[],
  requested: VectorEncoding,
  call: Call,
) {
  const encoding = checkEnum('encoding', requested, ENCODINGS);
  const { results, timing } = await runBatch<ImageItem | TextItem, VectorResult>(model, items, call);
  return {
    results: results.map((result) => toEmbeddingResult(result, encoding)),
    dimensions: model.facts?.dimensions ?? 0,
    model: toModel(model),
    timing,
  };
}

export function toEmbeddingResult(item: ItemResult<VectorResult>, encoding: EncodingName): EmbeddingResult {
  if (!item.ok) return create(EmbeddingResultSchema, { result: { case: 'error', value: toStatus(item.error) } });
  const { vector, tokenCount, truncated } = item.value;
  const numbers = encoding === 'bytes' ? { float32Le: toLittleEndian(vector) } : { values: toNumbers(vector) };
  return create(EmbeddingResultSchema, {
    result: { case: 'embedding', value: { ...numbers, tokenCount, truncated } },
  });
}

/** `Array.from` goes through the array's iterator: 10 times as long. */
function toNumbers(vector: Float32Array): number[] {
  const numbers = new Array<number>(vector.length);
  for (let at = 0; at < vector.length; at += 1) numbers[at] = vector[at] as number;
  return numbers;
}

/** Returns the vector's memory on a little-endian machine, a byte-swapped copy on others. */
function toLittleEndian(vector: Float32Array): Uint8Array {
  const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
  if (LITTLE_ENDIAN) return bytes;
  return Buffer.from(bytes).swap32();
}

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
