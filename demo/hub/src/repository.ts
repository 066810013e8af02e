/** Repositories of the hub: commits of files with their git and LFS hashes. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';

/** One file of a repository: its bytes, or its path on disk. */
export type HubFile =
  | { readonly path: string; readonly bytes: Uint8Array | string }
  | { readonly path: string; readonly file: string };

/** Definition of a repository. Its files may have several sources. */
export interface HubRepository {
  /** `org/name`. */
  readonly name: string;
  readonly files: readonly HubFile[];
  /** Branch or tag that points at this commit. Default `main`. */
  readonly revision?: string;
  /** Requires a token that has accepted the licence, else 403 GatedRepo. */
  readonly gated?: boolean;
  /** Visible only with the hub's token; RepoNotFound to others, as on the real hub. */
  readonly private?: boolean;
  /** Former names of the repository, which redirect to it with a relative 307. */
  readonly formerNames?: readonly string[];
}

/** A file of a commit, with its metadata in the API. */
export interface CommittedFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** Git sha1 of the blob: of the bytes, or of the LFS pointer. */
  readonly oid: string;
  /** sha256 of the bytes of an LFS file, else undefined. */
  readonly lfsOid: string | undefined;
  /** Size of the LFS pointer. */
  readonly pointerSizeBytes: number;
  /** Reads the bytes from `start` to `end` (exclusive). */
  read(start: number, end: number): Readable;
}

export interface Commit {
  /** 40 hexadecimal digits, derived from the name and the files. */
  readonly sha: string;
  /** Files by path, in the order of the API. */
  readonly files: ReadonlyMap<string, CommittedFile>;
}

const LFS_ENDINGS = ['.onnx', '.onnx_data', '.bin', '.safetensors', '.gguf', '.pt', '.tar', '.zip'];

/** The real hub stores regular files over 10 MB in LFS. */
const REGULAR_LIMIT_BYTES = 10_000_000;

/** Whether a file is in LFS: weights by extension, others by size. */
function isLfs(path: string, sizeBytes: number): boolean {
  return sizeBytes > REGULAR_LIMIT_BYTES || LFS_ENDINGS.some((ending) => path.endsWith(ending));
}

/** Hashes the files and creates the commit. Reads every file once. Rejects if one cannot be read. */
export async function makeCommit(repository: HubRepository): Promise<Commit> {
  const files = new Map<string, CommittedFile>();
  for (const file of [...repository.files].sort((a, b) => (a.path < b.path ? -1 : 1))) {
    if (files.has(file.path)) throw new Error(`${repository.name} has duplicate files: ${file.path}`);
    files.set(file.path, await commitFile(file));
  }
  const list = [...files.values()].map(({ path, oid, sizeBytes }) => [path, oid, sizeBytes]);
  const sha = createHash('sha1')
    .update(JSON.stringify([repository.name, list]))
    .digest('hex');
  return { sha, files };
}

async function commitFile(file: HubFile): Promise<CommittedFile> {
  const content = 'file' in file ? await fileContent(file.file) : bytesContent(file.bytes);
  const { path } = file;
  const { sizeBytes, read } = content;
  if (!isLfs(path, sizeBytes)) {
    const oid = await digest('sha1', `blob ${sizeBytes}\0`, content);
    return { path, sizeBytes, oid, lfsOid: undefined, pointerSizeBytes: 0, read };
  }
  const lfsOid = await digest('sha256', '', content);
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${lfsOid}\nsize ${sizeBytes}\n`;
  const oid = createHash('sha1').update(`blob ${pointer.length}\0${pointer}`).digest('hex');
  return { path, sizeBytes, oid, lfsOid, pointerSizeBytes: pointer.length, read };
}

type Content = Pick<CommittedFile, 'sizeBytes' | 'read'>;

async function fileContent(path: string): Promise<Content> {
  const { size } = await stat(path);
  const read = (start: number, end: number) =>
    end > start ? createReadStream(path, { start, end: end - 1 }) : Readable.from([]);
  return { sizeBytes: size, read };
}

function bytesContent(bytes: Uint8Array | string): Content {
  const buffer = Buffer.from(bytes);
  return { sizeBytes: buffer.length, read: (start, end) => Readable.from(parts(buffer, start, end)) };
}

const PART_BYTES = 64 * 1024;

function* parts(buffer: Buffer, start: number, end: number): Generator<Buffer> {
  for (let at = start; at < end; at += PART_BYTES) yield buffer.subarray(at, Math.min(at + PART_BYTES, end));
}

async function digest(algorithm: 'sha1' | 'sha256', prefix: string, content: Content): Promise<string> {
  const hash = createHash(algorithm).update(prefix);
  for await (const part of content.read(0, content.sizeBytes)) hash.update(part as Buffer);
  return hash.digest('hex');
}
