import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { asObject, parseForeignJson } from '@heimdex/common';
import { CompilerError } from '../errors.js';
import { type Checkpoint, MAX_CONTENTS_BYTES, PositionedFile, shown, type TensorEntry } from './checkpoint.js';
import { readSafetensors } from './safetensors.js';
import { readTorchFile } from './torch/torch-file.js';

/**
 * Opens the table of contents of a checkpoint: a safetensors file, a file of torch.save (.bin, .pt, .pth), or the index
 * (`*.index.json`) of shards in the same directory. Throws CompilerError.
 *
 * @param verified - Paths of the only shards that may be opened. Default: all.
 */
export function openCheckpoint(path: string, verified?: readonly string[]): Checkpoint {
  if (path.endsWith('.index.json')) return openShards(path, verified);
  return path.endsWith('.safetensors') ? { files: [path], tensors: readSafetensors(path) } : readTorchFile(path);
}

/** One checkpoint with the tensors of another, whose names begin with `prefix` and a dot. */
export function joinedCheckpoint(first: Checkpoint, prefix: string, other: Checkpoint): Checkpoint {
  const moved = [...other.tensors].map(
    ([name, entry]) => [`${prefix}.${name}`, { ...entry, file: entry.file + first.files.length }] as const,
  );
  return { ...first, files: [...first.files, ...other.files], tensors: new Map([...first.tensors, ...moved]) };
}

const AGAIN = 'Download the model again, or save it again: save_pretrained of transformers.';

function openShards(indexPath: string, verified: readonly string[] | undefined): Checkpoint {
  const map = weightMap(indexPath);
  const names = [...new Set(Object.values(map))].sort();
  const files = names.map((name) => join(dirname(indexPath), name));
  const allowed = new Set(verified ?? files);
  const missing = names.find((_, index) => !allowed.has(files[index] ?? '') || !existsSync(files[index] ?? ''));
  if (missing !== undefined) {
    throw new CompilerError(
      'CHECKPOINT_INVALID',
      `Expected shard ${shown(missing)} next to ${basename(indexPath)}, which names it, among files such as model-00001-of-00002.safetensors, got none. ${AGAIN}`,
    );
  }
  const shards = files.map((path, index) =>
    path.endsWith('.safetensors') ? readSafetensors(path, index) : readTorchFile(path, index).tensors,
  );
  const tensors = new Map<string, TensorEntry>();
  const byName = new Map(names.map((name, index) => [name, shards[index]]));
  for (const [tensor, shard] of Object.entries(map)) {
    const entry = byName.get(shard)?.get(tensor);
    if (entry === undefined) {
      throw new CompilerError(
        'TENSOR_MISSING',
        `Expected tensor ${shown(tensor)} in ${shown(shard)}, as ${basename(indexPath)} says, got none. ${AGAIN}`,
      );
    }
    tensors.set(tensor, entry);
  }
  for (const [index, shard] of shards.entries()) {
    for (const tensor of shard.keys()) {
      if (!tensors.has(tensor)) {
        throw new CompilerError(
          'TENSOR_UNEXPECTED',
          `Expected ${basename(indexPath)} to name every tensor, also got ${shown(tensor)} in ${names[index]}. ${AGAIN}`,
        );
      }
    }
  }
  return { files, tensors };
}

function weightMap(indexPath: string): Readonly<Record<string, string>> {
  let map: unknown;
  try {
    map = asObject(parseForeignJson(readText(indexPath))).weight_map;
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new CompilerError(
      'CHECKPOINT_INVALID',
      `Expected ${basename(indexPath)} to be JSON, got "${shown(cause.message)}". Download it again.`,
    );
  }
  const isMap = typeof map === 'object' && map !== null && Object.values(map).every((name) => isPlainName(name));
  if (!isMap) {
    throw new CompilerError(
      'CHECKPOINT_INVALID',
      `Expected ${basename(indexPath)} to have a weight_map of file names in its directory.`,
    );
  }
  return map as Record<string, string>;
}

function readText(path: string): string {
  const file = new PositionedFile(path);
  try {
    if (file.sizeBytes <= MAX_CONTENTS_BYTES) return file.read(0, file.sizeBytes).toString('utf8');
  } finally {
    file.close();
  }
  throw new CompilerError(
    'CHECKPOINT_INVALID',
    `Expected ${basename(path)} to have at most ${MAX_CONTENTS_BYTES} bytes, got ${file.sizeBytes}.`,
  );
}

/** A file name in the index's directory, without a path. */
function isPlainName(name: unknown): boolean {
  return typeof name === 'string' && /^[\w][\w.-]*$/.test(name);
}
