import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { expect } from 'chai';
import { formatTree, parseTree, readTree, type Tree, type TreeEntry, treePath } from '../src/index.js';
import { COMMIT } from './support/make-cache.js';
import { useTempDir } from './support/temp-dir.js';

/** As Python's json.dump(..., indent=1) writes it. */
const TEXT = `{
 "format_version": 1,
 "files": {
  "b.json": {
   "size": 2,
   "blob_id": "1111111111111111111111111111111111111111"
  },
  "onnx/m.onnx": {
   "size": 5,
   "blob_id": "2222222222222222222222222222222222222222",
   "lfs_sha256": "cc",
   "lfs_size": 5,
   "xet_hash": "dd"
  },
  "\\u00e4\\ud83d\\ude00": {
   "size": 0,
   "blob_id": "3333333333333333333333333333333333333333"
  }
 }
}`;

const regular = (sizeBytes: number, digit: string): TreeEntry => ({
  sizeBytes,
  blobId: digit.repeat(40),
  lfsSha256: undefined,
  lfsSizeBytes: undefined,
  xetHash: undefined,
});
const TREE: Tree = new Map<string, TreeEntry>([
  ['ä😀', regular(0, '3')],
  ['onnx/m.onnx', { sizeBytes: 5, blobId: '2'.repeat(40), lfsSha256: 'cc', lfsSizeBytes: 5, xetHash: 'dd' }],
  ['b.json', regular(2, '1')],
]);

describe('list of files', () => {
  const cache = useTempDir();

  it('is written byte for byte as Python writes it', () => {
    expect(formatTree(TREE)).to.equal(TEXT);
  });

  it('sorts by code point, as Python does', () => {
    const names = ['\u{1f600}', '\uffee', 'z'];
    const tree = new Map(names.map((name) => [name, regular(1, '1')]));
    expect([...(parseTree(formatTree(tree))?.keys() ?? [])]).to.deep.equal(['z', '\uffee', '\u{1f600}']);
  });

  it('is read as Python wrote it', async () => {
    const path = treePath(cache(), 'o/n', COMMIT);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, TEXT);
    expect(await readTree(cache(), 'o/n', COMMIT)).to.deep.equal(TREE);
  });

  it('is ignored if it is missing, damaged or of a later format', async () => {
    expect(await readTree(cache(), 'o/n', COMMIT)).to.equal(undefined);
    for (const text of [
      '',
      '{',
      '[]',
      'null',
      '{"format_version":2,"files":{}}',
      '{"format_version":1,"files":{"a":{}}}',
    ]) {
      expect(parseTree(text), text).to.equal(undefined);
    }
  });
});
