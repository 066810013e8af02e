import { join } from 'node:path';
import { expect } from 'chai';
import {
  assertSafePath,
  blobLockPath,
  blobPath,
  hashOfBlobId,
  plainPath,
  pointerPath,
  pointerTarget,
  refPath,
  repoDirName,
  treePath,
} from '../src/index.js';
import { COMMIT } from './support/make-cache.js';
import { cacheErrorOf } from './support/rejection.js';

const SHA256 = 'c'.repeat(64);

describe('layout', () => {
  it('names everything as huggingface_hub does', () => {
    expect(repoDirName('Xenova/whisper-medium')).to.equal('models--Xenova--whisper-medium');
    expect(repoDirName('gpt2')).to.equal('models--gpt2');
    expect(blobPath('/c', 'o/n', SHA256)).to.equal(`/c/models--o--n/blobs/${SHA256}`);
    expect(pointerPath('/c', 'o/n', COMMIT, 'onnx/m.onnx')).to.equal(`/c/models--o--n/snapshots/${COMMIT}/onnx/m.onnx`);
    expect(refPath('/c', 'o/n', 'refs/pr/1')).to.equal('/c/models--o--n/refs/refs/pr/1');
    expect(treePath('/c', 'o/n', COMMIT)).to.equal(`/c/models--o--n/trees/${COMMIT}.json`);
    expect(blobLockPath('/c', 'o/n', SHA256)).to.equal(`/c/.locks/models--o--n/${SHA256}.lock`);
    expect(plainPath('/c', 'face.onnx')).to.equal('/c/face.onnx');
  });

  it('points with one ../ more a directory', () => {
    expect(pointerTarget('config.json', SHA256)).to.equal(`../../blobs/${SHA256}`);
    expect(pointerTarget('onnx/m.onnx', SHA256)).to.equal(`../../../blobs/${SHA256}`);
    expect(join('/c/r/snapshots/x/onnx', pointerTarget('onnx/m.onnx', SHA256))).to.equal(`/c/r/blobs/${SHA256}`);
  });

  it('reads a hash from the name of a blob', () => {
    expect(hashOfBlobId(SHA256)).to.deep.equal({ type: 'sha256', value: SHA256 });
    expect(hashOfBlobId(COMMIT)).to.deep.equal({ type: 'git-sha1', value: COMMIT });
    expect(hashOfBlobId('abc')).to.equal(undefined);
  });

  const hostile = [
    '',
    '/etc/passwd',
    '..',
    'a/../../b',
    'a/./b',
    'a//b',
    'a/',
    'a\\..\\b',
    'C:b',
    'a\0b',
    'a\nb',
    `${'x'.repeat(256)}`,
  ];
  for (const path of hostile) {
    it(`refuses the path ${JSON.stringify(path).slice(0, 30)}`, async () => {
      expect((await cacheErrorOf(() => assertSafePath(path))).code).to.equal('PATH_UNSAFE');
      expect((await cacheErrorOf(() => pointerPath('/c', 'o/n', COMMIT, path))).code).to.equal('PATH_UNSAFE');
      expect((await cacheErrorOf(() => refPath('/c', 'o/n', path))).code).to.equal('PATH_UNSAFE');
    });
  }

  it('accepts unusual names of real repositories', () => {
    for (const path of ['.gitattributes', '1_Pooling/config.json', 'a b.txt', 'ä.json', '..a/b..', '...']) {
      expect(assertSafePath(path)).to.equal(path);
    }
  });

  it('refuses commits, blobs, repositories and plain names that lead elsewhere', async () => {
    const calls = [
      () => pointerPath('/c', 'o/n', 'main', 'x'),
      () => treePath('/c', 'o/n', '../x'),
      () => blobPath('/c', 'o/n', '../../x'),
      () => blobPath('/c', 'o/n', ''),
      () => repoDirName('../x'),
      () => repoDirName('a/b--c'),
      () => plainPath('/c', 'a/b'),
      ...[
        'models--a--b',
        'spaces--a--b',
        'models.lock.json',
        'Models.Lock.json',
        'CACHEDIR.TAG',
        '.locks',
        'whisper',
      ].map((name) => () => plainPath('/c', name)),
    ];
    for (const call of calls) expect((await cacheErrorOf(call)).code, String(call)).to.equal('PATH_UNSAFE');
  });
});
