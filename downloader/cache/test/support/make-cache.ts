/** Writes a hub cache as huggingface_hub does, with node:fs alone, so that what reads it is held to the real layout. */
import { createHash } from 'node:crypto';
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export const COMMIT = '1111111111111111111111111111111111111111';
export const OTHER_COMMIT = '2222222222222222222222222222222222222222';

/** Content of a made-up file: text, or bytes. */
export type Content = string | Uint8Array;

export interface RepositoryOptions {
  readonly commit?: string;
  /** `refs/<name>` to write; null for none. Default `main`. */
  readonly ref?: string | null;
}

/** Writes blobs, pointers and the ref of one commit. Files that end in .onnx are large ones, named by their sha256. */
export async function writeRepository(
  cacheDir: string,
  repository: string,
  files: Readonly<Record<string, Content>>,
  { commit = COMMIT, ref = 'main' }: RepositoryOptions = {},
): Promise<string> {
  const dir = join(cacheDir, `models--${repository.replace('/', '--')}`);
  await mkdir(join(dir, 'blobs'), { recursive: true });
  for (const [path, content] of Object.entries(files)) {
    const blobId = blobIdOf(path, content);
    await writeFile(join(dir, 'blobs', blobId), content);
    const pointer = join(dir, 'snapshots', commit, path);
    await mkdir(dirname(pointer), { recursive: true });
    await symlink(`${'../'.repeat(path.split('/').length + 1)}blobs/${blobId}`, pointer);
  }
  if (ref !== null) await writeRef(dir, ref, commit);
  return dir;
}

export async function writeRef(dir: string, ref: string, commit: string): Promise<void> {
  await mkdir(dirname(join(dir, 'refs', ref)), { recursive: true });
  await writeFile(join(dir, 'refs', ref), commit);
}

export function blobIdOf(path: string, content: Content): string {
  return path.endsWith('.onnx') || path.endsWith('.onnx_data') ? sha256(content) : gitSha1(content);
}

export function sha256(content: Content): string {
  return createHash('sha256').update(content).digest('hex');
}

export function gitSha1(content: Content): string {
  return createHash('sha1')
    .update(`blob ${Buffer.byteLength(content)}\0`)
    .update(content)
    .digest('hex');
}

/** The files of the small sentence embedder `fixtures/bge-m3-tiny` in the manifest, with made-up content. */
export const SENTENCE_FILES = {
  'config.json': '{"model_type":"xlm-roberta"}',
  'tokenizer.json': '{"version":"1.0"}',
  'tokenizer_config.json': '{}',
  'onnx/sentence_transformers.onnx': 'not really a graph',
} as const;

/** Moves a blob into Xet's shared store and leaves a link in its place. */
export async function share(cacheDir: string, blob: string): Promise<string> {
  const store = join(cacheDir, 'blobs', 'ab');
  const shared = join(store, 'xet-hash');
  await mkdir(store, { recursive: true });
  await rename(blob, shared);
  await symlink('../../blobs/ab/xet-hash', blob);
  return shared;
}
