import { createHash } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatTree } from '@heimdex/cache';
import { expect } from 'chai';
import { lastLine, runHere } from './support/program.js';
import { ENCODER, PLAIN_FACES_MANIFEST, seededBytes } from './support/repositories.js';
import { useHub } from './support/use-hub.js';
import { withoutLinks } from './support/volume.js';

describe('files without a hash on the volume', () => {
  const { dir, hub, env, filled: filledAndLocked } = useHub();
  let repo: string;
  let snapshot: string;
  let lockPath: string;

  beforeEach(async () => {
    repo = join(dir.path, 'cache', 'models--acme--speech');
    lockPath = join(dir.path, 'cache', 'models.lock.json');
    snapshot = join(repo, 'snapshots', hub.commit('acme/speech').sha);
  });

  async function filled(): Promise<void> {
    await filledAndLocked();
    await rm(lockPath);
  }

  async function filledWithoutLinks(): Promise<void> {
    await filled();
    await withoutLinks(snapshot);
  }

  const locked = async (): Promise<Record<string, string>> => {
    const text = await readFile(lockPath, 'utf8').catch(() => '{"models":[]}');
    const lock = JSON.parse(text) as { models: { files: { path: string; sha256: string }[] }[] };
    return Object.fromEntries(lock.models.flatMap(({ files }) => files.map(({ path, sha256 }) => [path, sha256])));
  };
  const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
  const RIGHT = sha256(seededBytes(700_000, 'encoder one'));

  it('are not called good by verify: exit 8, with their names', async () => {
    await filledWithoutLinks();
    const result = await runHere(['verify'], env());
    expect(result.status, result.stderr).to.equal(8);
    expect(result.stdout).to.include('not verified').and.not.include('good');
    expect(lastLine(result)).to.include({ code: 'NOT_VERIFIED' });
    expect(lastLine(result).msg).to.include(ENCODER).and.include('heimdex-downloader download');
    const json = JSON.parse((await runHere(['verify', '--json'], env())).stdout);
    expect(json).to.include({ ok: false, status: 'not verified' });
    expect(json.models[0].status).to.equal('not verified');
    expect(hub.requests.count).to.equal(0);
  });

  it('are not called good by verify --quick if they were never read', async () => {
    await filled();
    const quick = async () => (await runHere(['verify', '--quick'], env())).stdout;
    expect(await quick()).to.include('good');
    await rm(join(dir.path, 'cache', '.locks', 'heimdex-proofs.json'));
    expect(await quick())
      .to.include('7 files never read')
      .and.not.include('good');
  });

  it('are verified with hashes from the hub before they are locked, and not fetched', async () => {
    await filledWithoutLinks();
    const result = await runHere([], env());
    expect(result.status, result.stderr).to.equal(0);
    expect(hub.requests.filter({ kind: 'tree' }).length).to.equal(1);
    expect(hub.requests.filter({ kind: 'bytes' })).to.deep.equal([]);
    expect((await locked())[ENCODER]).to.equal(RIGHT);
    expect((await runHere(['verify'], env())).status).to.equal(0);
    expect((await runHere(['update', '--dry-run'], env())).stdout).to.match(/^No changes/);
    hub.requests.clear();
    expect((await runHere([], env())).status).to.equal(0);
    expect(hub.requests.count).to.equal(0);
  });

  it('are not exported, and files in a snapshot whose hash the file list has are', async () => {
    const archive = join(dir.path, 'models.tar');
    await filledWithoutLinks();
    const refused = await runHere(['export', archive], env());
    expect(refused.status, refused.stderr).to.equal(8);
    expect(lastLine(refused)).to.include({ code: 'NOT_VERIFIED' });
    expect(lastLine(refused).msg).to.include(ENCODER).and.include('heimdex-downloader download');
    expect(await readdir(dir.path)).not.to.include('models.tar');
    const { files } = hub.commit('acme/speech');
    const tree = [...files].map(([path, { sizeBytes, oid: blobId, lfsOid: lfsSha256 }]) => {
      const lfsSizeBytes = lfsSha256 === undefined ? undefined : sizeBytes;
      return [path, { sizeBytes, blobId, lfsSha256, lfsSizeBytes, xetHash: undefined }] as const;
    });
    await mkdir(join(repo, 'trees'));
    await writeFile(join(repo, 'trees', `${hub.commit('acme/speech').sha}.json`), formatTree(new Map(tree)));
    const result = await runHere(['export', archive], env());
    expect(result.status, result.stderr).to.equal(0);
    const other = { HF_HUB_CACHE: join(dir.path, 'other') };
    for (const argv of [['import', archive], ['verify']]) {
      const { status, stderr } = await runHere(argv, env(other));
      expect(status, stderr).to.equal(0);
    }
  });

  it("are fetched if they differ from the hub's, and the right hash is locked", async () => {
    await filledWithoutLinks();
    await truncate(join(snapshot, ENCODER), 1000);
    await writeFile(join(snapshot, 'config.json'), '{"seed":"two"}');
    const result = await runHere([], env());
    expect(result.status, result.stderr).to.equal(0);
    expect((await locked())[ENCODER]).to.equal(RIGHT);
    expect((await runHere(['verify'], env())).status).to.equal(0);
    expect(await readFile(join(snapshot, 'config.json'), 'utf8')).to.equal('{"seed":"one"}');
  });

  it('are not locked if the hub is unreachable, which is reported', async () => {
    await filledWithoutLinks();
    await truncate(join(snapshot, ENCODER), 1000);
    await hub.close();
    for (const more of [{ HF_HUB_OFFLINE: '1' }, {}]) {
      const result = await runHere([], env(more));
      expect(result.status, result.stderr).to.equal(0);
      const warning = result.log.find(({ event }) => event === 'not-verified');
      expect(warning?.msg).to.include(ENCODER).and.include('not locked');
      expect(await locked()).to.deep.equal({});
      expect((await runHere(['verify'], env())).status).to.equal(8);
    }
  });

  it("whose blob has git's name are read before the lock file records another hash", async () => {
    await filled();
    const [blob = ''] = (await readdir(join(repo, 'blobs'))).filter((name) => name.length === 40).sort();
    const path = join(repo, 'blobs', blob);
    const right = await readFile(path);
    // Of the same size: a list of files tells nothing.
    await writeFile(path, Buffer.from(right).fill(' ', 0, 1));
    const offline = await runHere([], env({ HF_HUB_OFFLINE: '1' }));
    expect(offline.status, offline.stderr).to.equal(3);
    expect(await locked()).to.deep.equal({});
    expect((await runHere([], env())).status).to.equal(0);
    expect((await readFile(path)).equals(right)).to.equal(true);
    expect((await runHere(['verify'], env())).status).to.equal(0);
  });

  it('are also read if another file of the model is missing', async () => {
    await filled();
    const [blob = '', other = ''] = (await readdir(join(repo, 'blobs'))).filter((name) => name.length === 40).sort();
    const path = join(repo, 'blobs', blob);
    const right = await readFile(path);
    await writeFile(path, Buffer.from(right).fill(' ', 0, 1));
    await rm(join(repo, 'blobs', other));
    expect((await runHere([], env())).status).to.equal(0);
    expect((await readFile(path)).equals(right)).to.equal(true);
    expect((await runHere(['verify'], env())).status).to.equal(0);
  });

  describe('a plain file that is not in LFS', () => {
    const faces = async (more: NodeJS.ProcessEnv = {}) => {
      const manifest = join(dir.path, 'models.json');
      await writeFile(manifest, JSON.stringify(PLAIN_FACES_MANIFEST));
      const wanted = { ASR_MODEL: 'none', FEATURE_FACE: 'true', FACE_MODEL_NAME: 'acme/faces' };
      return env({ MODELS_MANIFEST: manifest, ...wanted, ...more });
    };
    const file = () => join(dir.path, 'cache', 'faces.bin');
    const repository = (seed: string) => ({
      name: 'acme/faces',
      files: [{ path: 'faces.bin', bytes: seededBytes(5000, seed) }],
    });

    beforeEach(() => hub.publish(repository('one')));

    it('once locked is not moved, as update reports', async () => {
      const settings = await faces();
      expect((await runHere([], settings)).status).to.equal(0);
      const result = await runHere(['update', '--json'], settings);
      expect(result.status, result.stderr).to.equal(0);
      expect(JSON.parse(result.stdout).moved).to.deep.equal([]);
    });

    it('is fetched by update when it has changed to other bytes of the same size, and then settles', async () => {
      const settings = await faces();
      expect((await runHere([], settings)).status).to.equal(0);
      await hub.publish(repository('two'));
      const moved = await runHere(['update'], settings);
      expect(moved.status, moved.stderr).to.equal(0);
      expect(moved.stdout).to.include('changed').and.include('faces.bin');
      expect((await readFile(file())).equals(seededBytes(5000, 'two'))).to.equal(true);
      expect((await runHere(['update'], settings)).stdout).to.include('No changes');
      expect((await runHere(['verify'], settings)).status).to.equal(0);
    });

    it('is not verified by its own hash, but with one from the hub before it is locked', async () => {
      const settings = await faces();
      await mkdir(join(dir.path, 'cache'));
      await writeFile(file(), seededBytes(5000, 'one').fill(0, 100, 101));
      expect((await runHere(['verify'], settings)).status).to.equal(8);
      expect((await runHere([], { ...settings, HF_HUB_OFFLINE: '1' })).status).to.equal(0);
      expect(await locked()).to.deep.equal({});
      expect((await runHere([], settings)).status).to.equal(0);
      expect((await readFile(file())).equals(seededBytes(5000, 'one'))).to.equal(true);
      expect((await locked())['faces.bin']).to.equal(sha256(seededBytes(5000, 'one')));
    });
  });

  describe('optimized models', () => {
    const SOURCE = RIGHT;
    const FORM = '0123456789abcdef0123456789abcdef';
    let form: string;
    beforeEach(async () => {
      await filledAndLocked();
      form = join(dir.path, 'cache', '.prepared', SOURCE, FORM);
      await mkdir(form, { recursive: true });
      await writeFile(join(form, 'model.onnx'), 'made here');
      const lock = JSON.parse(await readFile(lockPath, 'utf8')) as object;
      const files = [{ name: 'model.onnx', sizeBytes: 9, sha256: sha256(Buffer.from('made here')) }];
      await writeFile(lockPath, JSON.stringify({ ...lock, prepared: [{ source: SOURCE, form: FORM, files }] }));
    });

    it('are held by verify to the lock file', async () => {
      expect((await runHere(['verify'], env())).stdout).to.include('1 optimized model: good');
      await writeFile(join(form, 'model.onnx'), 'made away');
      const result = await runHere(['verify'], env());
      expect(result.status, result.stderr).to.equal(7);
      expect(lastLine(result).msg).to.include(form).and.include('run: heimdex-inference prepare');
      const json = JSON.parse((await runHere(['verify', '--json'], env())).stdout);
      expect(json.prepared).to.deep.equal([{ source: SOURCE, form: FORM, status: 'wrong', bytesRead: 9 }]);
      await writeFile(join(form, 'model.onnx'), 'made');
      expect(lastLine(await runHere(['verify', '--quick'], env())).msg).to.include('it has 4 bytes, expected 9');
      await rm(join(form, 'model.onnx'));
      expect(lastLine(await runHere(['verify', '--quick'], env())).msg)
        .to.include(form)
        .and.include('ENOENT');
      await rm(form, { recursive: true });
      expect((await runHere(['verify'], env())).status).to.equal(0);
    });

    it('that the lock file does not name are shown by list and removed by prune', async () => {
      const other = join(dir.path, 'cache', '.prepared', SOURCE, 'f'.repeat(32));
      await cp(form, other, { recursive: true });
      const json = JSON.parse((await runHere(['list', '--json'], env())).stdout);
      expect(json.optimizedModels).to.deep.equal([
        { source: SOURCE, form: FORM, bytes: 9, recorded: true },
        { source: SOURCE, form: 'f'.repeat(32), bytes: 9, recorded: false },
      ]);
      expect((await runHere(['list'], env())).stdout).to.include('1 of them not in the lock file');
      expect((await runHere(['prune', '--yes'], env())).status).to.equal(0);
      expect(await readdir(join(dir.path, 'cache', '.prepared', SOURCE))).to.deep.equal([FORM]);
    });

    it('are forgotten by the lock file once prune has removed them, and kept in it by a download', async () => {
      await rm(join(repo, 'blobs', SOURCE));
      expect((await runHere([], env())).status).to.equal(0);
      expect(await readFile(lockPath, 'utf8')).to.include(FORM);
      await rm(join(dir.path, 'cache', '.prepared'), { recursive: true });
      expect((await runHere(['prune', '--yes'], env())).status).to.equal(0);
      expect(await readFile(lockPath, 'utf8')).not.to.include(FORM);
    });
  });
});
