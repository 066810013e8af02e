import { mkdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type CompiledManifest, formatCompiledManifest, formatLock, type LockedModel } from '@heimdex/cache';
import { expect } from 'chai';
import { pack } from 'tar-stream';
import { compiledManifestName } from '../src/archive/compiled-entries.js';
import { lastLine, runHere, testEnvironment } from './support/program.js';
import { temporaryDir } from './support/volume.js';

const COMMIT = 'c'.repeat(40);

describe('an archive of models', () => {
  const dir = temporaryDir();
  const env = () => testEnvironment(dir.path, 'http://127.0.0.1:9');

  it('whose compiled models fit one by one, but not all together, is refused before their first byte: exit 6', async () => {
    await mkdir(join(dir.path, 'cache'));
    const { bavail, bsize } = await statfs(join(dir.path, 'cache'));
    const models = ['acme/one', 'acme/two'].map((name, index) =>
      compiledModel(name, String(index).repeat(64), Math.floor(bavail * bsize * 0.7)),
    );
    const archive = pack();
    archive.entry({ name: 'models.lock.json' }, formatLock({ models: models.map(({ locked }) => locked) }));
    for (const { manifest } of models) {
      archive.entry({ name: compiledManifestName(manifest) }, formatCompiledManifest(manifest));
    }
    archive.finalize();
    const result = await runHere(['import', '-'], env(), { stdin: Readable.from(archive) });
    expect(result.status, result.stderr).to.equal(6);
    expect(lastLine(result)).to.include({ code: 'DISK_FULL' });
  });

  it('that never comes is waited for until a signal: exit 130', async () => {
    const stop = new AbortController();
    const stdin = new Readable({ read: () => stop.abort(new Error('ended by SIGTERM')) });
    const result = await runHere(['import', '-'], env(), { stdin, signal: stop.signal });
    expect(result.status, result.stderr).to.equal(130);
    expect(stdin.destroyed).to.equal(true);
  });
});

/** A compiled text model with one graph of this size, as a lock file and compiled.json have it. */
function compiledModel(
  repository: string,
  sha256: string,
  sizeBytes: number,
): { readonly locked: LockedModel; readonly manifest: CompiledManifest } {
  const source = { path: 'model.safetensors', sizeBytes: 1, sha256: 'a'.repeat(64) };
  return {
    locked: {
      role: 'text',
      entry: repository,
      variant: 'int8',
      layout: 'snapshot',
      repository,
      source: 'hf',
      requestedRevision: COMMIT,
      revision: COMMIT,
      files: [{ path: 'compiled/model.onnx', sizeBytes, sha256, blobId: undefined }],
    },
    manifest: {
      compiler: 6,
      precision: 'int8',
      overflowSafe: true,
      sources: [source],
      repository,
      commit: COMMIT,
      modelType: 'bert',
      graphs: [{ role: 'model', cosine: 1, recipe: {}, files: [{ name: 'model.onnx', sizeBytes, sha256 }] }],
    },
  };
}
