/**
 * `trees/<commit>.json`: the files of a repository at a commit, as huggingface_hub (1.22 and later) stores them next to the
 * snapshots. A commit never changes, so the list never does.
 */
import { isObject, parseForeignJson } from '@heimdex/common';
import { JsonCursor } from './json.js';
import { type ContentHash, treePath } from './layout.js';
import { readText } from './read-text.js';

/** One file of a repository at a commit. */
export interface TreeEntry {
  readonly sizeBytes: number;
  /** Git's sha1 of the blob; for a large file, of its pointer. */
  readonly blobId: string;
  /** For a large file (LFS): the sha256 of its bytes. */
  readonly lfsSha256: string | undefined;
  readonly lfsSizeBytes: number | undefined;
  /** Address in the hub's chunk store; kept for Python, not used here. */
  readonly xetHash: string | undefined;
}

export type Tree = ReadonlyMap<string, TreeEntry>;

/** Returns the hash of a file's bytes: the sha256 of a large file, git's sha1 of a regular one. */
export function hashOfEntry({ blobId, lfsSha256 }: TreeEntry): ContentHash {
  return lfsSha256 === undefined ? { type: 'git-sha1', value: blobId } : { type: 'sha256', value: lfsSha256 };
}

/** Returns the size of a file's bytes, which is not that of a large file's pointer. */
export function sizeOfEntry({ sizeBytes, lfsSizeBytes }: TreeEntry): number {
  return lfsSizeBytes ?? sizeBytes;
}

const TREE_FORMAT_VERSION = 1;

/** Reads the tree list of a commit; undefined if it is missing or unreadable. */
export async function readTree(cacheDir: string, repository: string, commit: string): Promise<Tree | undefined> {
  let text: string;
  try {
    text = await readText(treePath(cacheDir, repository, commit));
  } catch {
    // Python writes it with mode 0600, unreadable for other users. It is optional.
    return undefined;
  }
  return parseTree(text);
}

/** Parses a tree list; undefined if its format is unknown. */
export function parseTree(text: string): Tree | undefined {
  try {
    const root: unknown = parseForeignJson(text);
    if (!isObject(root) || root.format_version !== TREE_FORMAT_VERSION) return undefined;
    const files = new JsonCursor(root.files, 'files').entries();
    return new Map(files.map(([path, cursor]) => [path, parseTreeEntry(cursor)]));
  } catch {
    return undefined;
  }
}

function parseTreeEntry(cursor: JsonCursor): TreeEntry {
  const orUndefined = (key: string) => cursor.get(key).optional((text) => text.text());
  return {
    sizeBytes: cursor.get('size').count(),
    blobId: cursor.get('blob_id').text(),
    lfsSha256: orUndefined('lfs_sha256'),
    lfsSizeBytes: cursor.get('lfs_size').optional((size) => size.count()),
    xetHash: orUndefined('xet_hash'),
  };
}

/** Returns the text of `trees/<commit>.json`, byte for byte as huggingface_hub writes it: sorted by path, indented by one. */
export function formatTree(tree: Tree): string {
  const files: Record<string, unknown> = {};
  for (const path of [...tree.keys()].sort(byCodePoint)) {
    const entry = tree.get(path);
    if (entry === undefined) continue;
    files[path] = {
      size: entry.sizeBytes,
      blob_id: entry.blobId,
      ...(entry.lfsSha256 === undefined ? {} : { lfs_sha256: entry.lfsSha256, lfs_size: entry.lfsSizeBytes }),
      ...(entry.xetHash === undefined ? {} : { xet_hash: entry.xetHash }),
    };
  }
  return escapeNonAscii(JSON.stringify({ format_version: TREE_FORMAT_VERSION, files }, null, 1));
}

/** Python sorts strings by code point, JavaScript by UTF-16 unit; they differ above U+FFFF. */
function byCodePoint(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Python's json escapes non-ASCII characters, unit by unit. */
function escapeNonAscii(text: string): string {
  return text.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
