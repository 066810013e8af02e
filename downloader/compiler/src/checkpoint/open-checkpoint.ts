import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { CompilerError } from '../errors.js';
import type { Checkpoint, TensorEntry } from './checkpoint.js';
import { readSafetensors } from './safetensors.js';
import { readTorchFile } from './torch/torch-file.js';

/**
 * The table of contents of a checkpoint: a safetensors file, a file of torch.save (.bin, .pt, .pth), or the index
 * (`*.index.json`) of one in shards, which lie beside it. Throws CompilerError.
 */
export function openCheckpoint(path: string): Checkpoint {
  if (path.endsWith('.index.json')) return openShards(path);
  return path.endsWith('.safetensors') ? { files: [path], tensors: readSafetensors(path) } : readTorchFile(path);
}

/** Names of the shards of an index, sorted. Throws CHECKPOINT_INVALID. */
export function shardsOf(indexPath: string): readonly string[] {
  return [...new Set(Object.values(weightMap(indexPath)))].sort();
}

function openShards(indexPath: string): Checkpoint {
  const map = weightMap(indexPath);
  const names = shardsOf(indexPath);
  const files = names.map((name) => join(dirname(indexPath), name));
  const shards = files.map((path, index) =>
    path.endsWith('.safetensors') ? readSafetensors(path, index) : readTorchFile(path, index).tensors,
  );
  const tensors = new Map<string, TensorEntry>();
  for (const [tensor, shard] of Object.entries(map)) {
    const entry = shards[names.indexOf(shard)]?.get(tensor);
    if (entry === undefined) {
      throw new CompilerError(
        'TENSOR_MISSING',
        `Expected tensor ${tensor} in ${shard}, as ${basename(indexPath)} says, got none.`,
      );
    }
    tensors.set(tensor, entry);
  }
  for (const [index, shard] of shards.entries()) {
    for (const tensor of shard.keys()) {
      if (!tensors.has(tensor)) {
        throw new CompilerError(
          'TENSOR_UNEXPECTED',
          `Expected ${basename(indexPath)} to name every tensor, got ${tensor} in ${names[index]} besides.`,
        );
      }
    }
  }
  return { files, tensors };
}

function weightMap(indexPath: string): Readonly<Record<string, string>> {
  let map: unknown;
  try {
    map = (JSON.parse(readFileSync(indexPath, 'utf8')) as { weight_map?: unknown } | null)?.weight_map;
  } catch (cause) {
    throw new CompilerError('CHECKPOINT_INVALID', `Expected ${basename(indexPath)} to be JSON, got something else.`, {
      cause,
    });
  }
  const isMap = typeof map === 'object' && map !== null && Object.values(map).every((name) => isPlainName(name));
  if (!isMap) {
    throw new CompilerError(
      'CHECKPOINT_INVALID',
      `Expected ${basename(indexPath)} to have a weight_map of file names beside it.`,
    );
  }
  return map as Record<string, string>;
}

/** The name of a file beside the index: no folder, no way out of this one. */
function isPlainName(name: unknown): boolean {
  return typeof name === 'string' && /^[\w][\w.-]*$/.test(name);
}
