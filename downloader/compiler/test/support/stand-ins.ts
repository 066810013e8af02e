import { join } from 'node:path';
import { bertShapes, type NamedTensor, randomTensors } from '@heimdex/hub';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { type CompileOptions, compileCheckpoint, type Precision } from '../../src/index.js';

/** The smallest BERT that has every kind of tensor. */
export const BERT_SIZE = { width: 16, inner: 32, layers: 1, vocabulary: 40, positions: 12, types: 2 };

/** Its config.json. */
export const BERT_CONFIG = {
  model_type: 'bert',
  hidden_size: 16,
  intermediate_size: 32,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  vocab_size: 40,
  max_position_embeddings: 12,
  type_vocab_size: 2,
} as const;

/** Its weights; the pooler of BERT's training is expected to be there and is not used. */
export function bertTensors(): readonly NamedTensor[] {
  return randomTensors(bertShapes(BERT_SIZE, { pooler: true }));
}

/** The answers of a BERT, compiled, to texts of equal length after padding (`mask` 0). */
export async function answersOf(
  options: Omit<CompileOptions, 'precision' | 'overflowSafe'> & { readonly precision?: Precision },
  ids: readonly (readonly number[])[],
  mask: readonly (readonly number[])[] = ids.map((row) => row.map(() => 1)),
): Promise<Readonly<Record<string, Float32Array>>> {
  await compileCheckpoint({ precision: 'fp32', overflowSafe: true, ...options });
  const session = await InferenceSession.create(join(options.dir, 'model.onnx'), {
    logSeverityLevel: 4,
    // As the server opens graphs of float weights.
    extra: { session: { disable_prepacking: '1' } },
  });
  const integers = (rows: readonly (readonly number[])[]) =>
    new Tensor('int64', BigInt64Array.from(rows.flat(), BigInt), [rows.length, rows[0]?.length ?? 0]);
  const answers = await session.run({ input_ids: integers(ids), attention_mask: integers(mask) });
  await session.release();
  return Object.fromEntries(Object.entries(answers).map(([name, { data }]) => [name, data as Float32Array]));
}
