import type { HubFile } from '../repository.js';
import type { NamedTensor } from './tensors.js';

/** Returns a safetensors file. */
export function safetensorsFile(tensors: readonly NamedTensor[]): Buffer {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let offset = 0;
  for (const { name, shape, values } of tensors) {
    const dtype = values instanceof Float32Array ? 'F32' : 'F16';
    header[name] = { dtype, shape, data_offsets: [offset, offset + values.byteLength] };
    offset += values.byteLength;
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, ...tensors.map(({ values }) => bytesOf(values))]);
}

/** Returns the tensors in several shards, with their index file. */
export function shardedSafetensors(tensors: readonly NamedTensor[], shards: number): HubFile[] {
  const name = (shard: number) => `model-${padded(shard + 1)}-of-${padded(shards)}.safetensors`;
  const parts = Array.from({ length: shards }, (_, shard) => tensors.filter((_, index) => index % shards === shard));
  const weightMap = Object.fromEntries(
    parts.flatMap((part, shard) => part.map((tensor) => [tensor.name, name(shard)])),
  );
  return [
    ...parts.map((part, shard) => ({ path: name(shard), bytes: safetensorsFile(part) })),
    { path: 'model.safetensors.index.json', bytes: JSON.stringify({ metadata: {}, weight_map: weightMap }) },
  ];
}

/** Returns values as little-endian bytes. */
export function bytesOf(values: Float32Array | Uint16Array): Buffer {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength);
}

function padded(number: number): string {
  return String(number).padStart(5, '0');
}
