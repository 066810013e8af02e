import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { mkdir, open, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hashFile, type OptimizedFile, replaceDir } from '@heimdex/cache';
import { makeDir } from '@heimdex/common';
import { InferenceSession } from 'onnxruntime-node';
import {
  branchesOf,
  type OnnxGraph,
  type OnnxModel,
  type OnnxTensor,
  parseModel,
  writeModel,
} from '../../../onnx/index.js';
import type { OptimizedKey } from './key.js';
import { GRAPH_NAME, MANIFEST_NAME, WEIGHTS_NAME, writeManifest } from './manifest.js';
import { type ReadGraph, withSessionEntries } from './recipe.js';

/** Smaller constants stay in the graph's file. */
const EXTERNAL_MIN_BYTES = 1024;
/** Maximum size of an optimized model relative to its source: it stores both the original and the prepacked weights. */
const MAX_GROWTH = 3;
/** Prefix of temporary directories; prepare removes old ones. */
export const TEMPORARY_PREFIX = '.tmp-';

export interface MakeRequest {
  /** Target directory. */
  readonly dir: string;
  readonly source: string;
  readonly key: OptimizedKey;
  /** Bytes of the source, to check for free space. */
  readonly sourceBytes: number;
  readonly graph: ReadGraph;
  readonly settings: InferenceSession.SessionOptions;
  /** Told when it is saved, opened again and hashed. */
  onProgress(): void;
}

/**
 * Creates an optimized model in a temporary directory, verifies it by opening it, then renames it to its final path,
 * replacing any earlier one. Returns its files, to be recorded. Throws, and leaves no files behind, when space is
 * short, when the volume is read-only, and when the runtime cannot read back what it saved.
 */
export async function makeOptimized(request: MakeRequest): Promise<readonly OptimizedFile[]> {
  const { dir, source, key, graph, settings } = request;
  const parent = dirname(dir);
  await makeDir(parent);
  const { bavail, bsize } = await statfs(parent);
  if (bavail * bsize < request.sourceBytes * MAX_GROWTH) {
    throw new Error(`the volume has ${bavail * bsize} bytes free, expected ${request.sourceBytes * MAX_GROWTH}`);
  }
  const temporary = join(parent, `${TEMPORARY_PREFIX}${randomBytes(6).toString('hex')}`);
  await mkdir(temporary, { mode: 0o755 });
  try {
    const session = await graph.create(saving(settings, temporary));
    await session.release();
    request.onProgress();
    repairRepeats(temporary);
    const again = await createSession(temporary, settings);
    await again.release();
    request.onProgress();
    const manifest = { key, source, facts: graph.facts(), changed: graph.changed };
    await writeFile(join(temporary, MANIFEST_NAME), writeManifest(manifest), { flag: 'wx', mode: 0o644 });
    const files = await filesOf(temporary);
    request.onProgress();
    // One that a concurrent run has put there is equivalent.
    await replaceDir(temporary, dir);
    return files;
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** Opens an optimized model without optimizing it again: what was verified is what runs. */
export function createSession(dir: string, settings: InferenceSession.SessionOptions): Promise<InferenceSession> {
  return InferenceSession.create(join(dir, GRAPH_NAME), { ...settings, graphOptimizationLevel: 'disabled' });
}

function saving(settings: InferenceSession.SessionOptions, dir: string): InferenceSession.SessionOptions {
  return {
    ...withSessionEntries(settings, {
      save_external_prepacked_constant_initializers: '1',
      optimized_model_external_initializers_file_name: WEIGHTS_NAME,
      optimized_model_external_initializers_min_size_in_bytes: String(EXTERNAL_MIN_BYTES),
    }),
    optimizedModelFilePath: join(dir, GRAPH_NAME),
  };
}

/**
 * Removes duplicate constants. onnxruntime 1.30 writes constants of an If's branches twice, the second time as external
 * data if they are large, and then rejects the file. The external one is kept when the bytes are equal.
 */
function repairRepeats(dir: string): void {
  const path = join(dir, GRAPH_NAME);
  const model: OnnxModel = parseModel(readFileSync(path));
  const weightsPath = join(dir, WEIGHTS_NAME);
  // A graph without large constants has no such file and refers to none.
  const weights = openSync(existsSync(weightsPath) ? weightsPath : path, 'r');
  try {
    if (dropRepeats(model.graph, weights) > 0) writeFileSync(path, writeModel(model));
  } finally {
    closeSync(weights);
  }
}

function dropRepeats(graph: OnnxGraph, weights: number): number {
  const kept = new Map<string, OnnxTensor>();
  for (const constant of graph.initializers) {
    const known = kept.get(constant.name);
    if (known === undefined || constant.data?.kind === 'external') kept.set(constant.name, constant);
    if (known !== undefined && !isSame(known, constant, weights)) {
      throw new Error(`the runtime saved two constants named ${constant.name}`);
    }
  }
  const dropped = graph.initializers.length - kept.size;
  graph.initializers = [...kept.values()];
  return branchesOf(graph).reduce((sum, branch) => sum + dropRepeats(branch, weights), dropped);
}

function isSame(one: OnnxTensor, other: OnnxTensor, weights: number): boolean {
  return (
    one.elementType === other.elementType &&
    one.dims.join() === other.dims.join() &&
    bytesOf(one, weights).equals(bytesOf(other, weights))
  );
}

function bytesOf({ data }: OnnxTensor, weights: number): Buffer {
  if (data?.kind === 'inline') return Buffer.from(data.bytes);
  if (data?.kind !== 'external') return Buffer.alloc(0);
  const bytes = Buffer.alloc(data.length);
  readSync(weights, bytes, 0, data.length, data.offset);
  return bytes;
}

async function filesOf(dir: string): Promise<OptimizedFile[]> {
  const files: OptimizedFile[] = [];
  for (const name of [GRAPH_NAME, MANIFEST_NAME, WEIGHTS_NAME]) {
    const path = join(dir, name);
    if (!existsSync(path)) continue;
    await flush(path);
    files.push({ name, sizeBytes: (await stat(path)).size, sha256: await hashFile('sha256', path) });
  }
  return files;
}

/** A power failure would leave other bytes in a file of the recorded size, and only here the system reports that it could not write them. */
async function flush(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.datasync();
  } finally {
    await file.close();
  }
}
