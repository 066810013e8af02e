import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { type CompiledManifest, formatCompiledManifest, formatLock, type LockedModel } from '@heimdex/cache';
import { startHub } from '@heimdex/hub';
import { expect } from 'chai';
import { pack } from 'tar-stream';
import { compiledManifestName } from '../src/archive/compiled-entries.js';
import { writeArchive } from '../src/archive/write-archive.js';
import { lastLine, runHere, testEnvironment } from './support/program.js';
import { speechRepository } from './support/repositories.js';
import { temporaryDir } from './support/volume.js';

const PROGRAM = fileURLToPath(new URL('../../bin/heimdex-downloader.js', import.meta.url));
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

  it('is imported with a warning if a compiled model in it cannot be used here', async () => {
    const graph = 'graph';
    const sha256 = createHash('sha256').update(graph).digest('hex');
    const { locked, manifest } = compiledModel('acme/one', sha256, graph.length);
    const archive = pack();
    const former = { ...manifest, compiler: 1 };
    archive.entry({ name: 'models.lock.json' }, formatLock({ models: [locked] }));
    archive.entry({ name: compiledManifestName(former) }, formatCompiledManifest(former));
    archive.entry({ name: compiledManifestName(former).replace('compiled.json', 'model.onnx') }, graph);
    archive.finalize();
    const result = await runHere(['import', '-'], env(), { stdin: Readable.from(archive) });
    expect(result.status, result.stderr).to.equal(0);
    const [warning] = result.log.filter(({ level }) => level === 'warn');
    expect(warning?.msg).to.match(/acme\/one cannot be used here: .* another version of the compiler/);
  });

  it('with a broken compiled.json is refused by what is wrong with it: exit 7', async () => {
    const { locked, manifest } = compiledModel('acme/one', 'b'.repeat(64), 5);
    for (const [text, what] of [
      ['{"formatVersion": 1}', /compiled\.compiler/],
      ['{', /archive: .*JSON/],
    ] as const) {
      const archive = pack();
      archive.entry({ name: 'models.lock.json' }, formatLock({ models: [locked] }));
      archive.entry({ name: compiledManifestName(manifest) }, text);
      archive.finalize();
      const result = await runHere(['import', '-'], env(), { stdin: Readable.from(archive) });
      expect(result.status, result.stderr).to.equal(7);
      expect(lastLine(result)).to.include({ code: 'ARCHIVE_INVALID' });
      expect(lastLine(result).msg).to.match(what);
    }
  });

  it('that never comes is waited for until a signal: exit 130', async () => {
    const stop = new AbortController();
    const stdin = new Readable({ read: () => stop.abort(new Error('ended by SIGTERM')) });
    const result = await runHere(['import', '-'], env(), { stdin, signal: stop.signal });
    expect(result.status, result.stderr).to.equal(130);
    expect(stdin.destroyed).to.equal(true);
    expect(lastLine(result).msg).to.equal('Interrupted. To start again, run: heimdex-downloader import -');
  });

  it('that cannot be read to its end is not called an error of the volume: exit 7', async () => {
    const failed = Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' });
    const stdin = new Readable({ read: () => stdin.destroy(failed) });
    const result = await runHere(['import', '-'], env(), { stdin });
    expect(result.status, result.stderr).to.equal(7);
    expect(lastLine(result)).to.include({ code: 'ARCHIVE_INVALID' });
    expect(lastLine(result).msg).to.include('EIO').and.not.include(dir.path);
  });

  it('of a file that cannot be read is an error of that file', async () => {
    const { locked, manifest } = compiledModel('acme/one', 'b'.repeat(64), 5);
    const models = [{ locked, compiled: manifest }];
    const written = writeArchive(dir.path, models, () => dir.path, new PassThrough(), new AbortController().signal);
    const error = await written.catch((reason: unknown) => reason);
    expect(error).to.include({ code: 'DISK_FAILED' });
    expect(String(error)).to.include(`${dir.path} cannot be used: EISDIR`);
  });

  it('that does not fit on its disk is an error and leaves no file: exit 6', async () => {
    const hub = await startHub({ repositories: [speechRepository({ encoderBytes: 6_000_000 })] });
    const filled = testEnvironment(dir.path, hub.url);
    expect((await runHere([], filled)).status).to.equal(0);
    await hub.close();
    // A limit on the size of a file is a disk that is full for large files alone, and needs no mount.
    const limited = `trap '' XFSZ; ulimit -f 4000; exec "$0" "$@"`;
    const tar = join(dir.path, 'models.tar');
    const child = spawn('/bin/sh', ['-c', limited, process.execPath, PROGRAM, 'export', tar], {
      env: { ...filled, PATH: process.env.PATH },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const [stderr, [status]] = await Promise.all([text(child.stderr), once(child, 'close')]);
    expect(status, stderr).to.equal(6);
    expect(stderr).to.include('DISK_FULL').and.include('ulimit -f allows (EFBIG). The unfinished file was removed: ');
    expect((await readdir(dir.path)).filter((name) => name.startsWith('models.tar'))).to.deep.equal([]);
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
