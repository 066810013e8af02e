import { chmod, cp, lstat, mkdir, mkdtemp, open, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { lastLine, runHere } from './support/program.js';
import {
  ENCODER,
  FACES_REPOSITORY,
  PLAIN_FACES_MANIFEST,
  SPEECH_REPOSITORY,
  speechRepository,
} from './support/repositories.js';
import { useHub } from './support/use-hub.js';
import { asAnotherUser } from './support/volume.js';

describe('keeping a volume', () => {
  const { dir, hub, env, ok, filled } = useHub({ repositories: [speechRepository(), FACES_REPOSITORY] });
  let cache: string;

  beforeEach(async () => {
    cache = join(dir.path, 'cache');
  });

  const lockText = () => readFile(join(cache, 'models.lock.json'), 'utf8');

  describe('the lock file', () => {
    it('is written by the first download, with commit, sizes and sha256 of every file', async () => {
      await ok([]);
      const [model] = JSON.parse(await lockText()).models;
      expect(model).to.include({ role: 'speech', repository: SPEECH_REPOSITORY, requestedRevision: 'main' });
      expect(model.revision).to.equal(hub.commit(SPEECH_REPOSITORY).sha);
      expect(model.files).to.have.length(7);
      for (const file of model.files) expect(file.sha256).to.match(/^[0-9a-f]{64}$/);
    });

    it('is also written for a volume that another program has filled, and reports it', async () => {
      await filled();
      const before = await lockText();
      await rm(join(cache, 'models.lock.json'));
      await ok([]);
      const found = await lockText();
      expect(found).to.include('"found": true');
      expect(found.replace('      "found": true,\n', '')).to.equal(before);
    });

    it('keeps an empty volume at the locked commit when the branch has moved', async () => {
      await filled();
      const locked = hub.commit(SPEECH_REPOSITORY).sha;
      const lockPath = join(dir.path, 'models.lock.json');
      await cp(join(cache, 'models.lock.json'), lockPath);
      await hub.publish(speechRepository({ seed: 'two' }));
      await rm(cache, { recursive: true });
      await ok([], { MODELS_LOCK: lockPath });
      expect(await readdir(join(cache, 'models--acme--speech', 'snapshots'))).to.deep.equal([locked]);
    });

    it('is not obeyed for a model whose revision or repository has changed in the manifest', async () => {
      await hub.publish({ ...speechRepository({ seed: 'two' }), revision: 'two' });
      await hub.publish({ ...speechRepository({ seed: 'three' }), name: 'acme/renamed' });
      const two = hub.commit(SPEECH_REPOSITORY, 'two').sha;
      const sources = [
        { repository: SPEECH_REPOSITORY },
        { repository: SPEECH_REPOSITORY, revision: 'two' },
        { repository: 'acme/renamed' },
        { repository: SPEECH_REPOSITORY, revision: two },
      ];
      const commits: string[] = [];
      for (const source of sources) {
        const manifest = join(dir.path, 'manifest.json');
        const entry = { name: SPEECH_REPOSITORY, role: 'speech', family: 'whisper', fileSet: 'whisper' };
        const models = [{ ...entry, sources: [{ type: 'hf', ...source }] }];
        await writeFile(manifest, JSON.stringify({ formatVersion: 1, models }));
        const own = { MODELS_MANIFEST: manifest };
        await ok([], own);
        await ok(['verify'], own);
        commits.push(JSON.parse(await lockText()).models[0].revision);
        expect(await ok(['update', '--dry-run'], own)).to.match(/No changes/);
      }
      const main = hub.commit(SPEECH_REPOSITORY).sha;
      expect(commits).to.deep.equal([main, two, hub.commit('acme/renamed').sha, two]);
    });

    it('that names other bytes than the hub has is an error with both hashes', async () => {
      await filled();
      const text = (await lockText()).replaceAll(
        hub.commit(SPEECH_REPOSITORY).files.get(ENCODER)?.lfsOid ?? '',
        'a'.repeat(64),
      );
      const lockPath = join(dir.path, 'models.lock.json');
      await writeFile(lockPath, text);
      const result = await runHere([], env({ MODELS_LOCK: lockPath }));
      expect(result.status).to.equal(7);
      expect(lastLine(result).msg).to.include('a'.repeat(64)).and.include('heimdex-downloader update');
    });

    it('that is no JSON is an error: exit 2', async () => {
      await mkdir(cache);
      await writeFile(join(cache, 'models.lock.json'), 'not json');
      const result = await runHere([], env());
      expect(result.status).to.equal(2);
      expect(lastLine(result)).to.include({ code: 'LOCK_INVALID' });
    });
  });

  describe('update', () => {
    it('shows what changed and with --dry-run changes nothing', async () => {
      await filled();
      const before = await lockText();
      await hub.publish(speechRepository({ seed: 'two' }));
      const made = JSON.parse(await ok(['update', '--dry-run', '--json']));
      expect(made.moved[0]).to.include({ to: hub.commit(SPEECH_REPOSITORY).sha });
      expect(made.moved[0].files.map((file: { path: string }) => file.path)).to.include(ENCODER);
      expect(await lockText()).to.equal(before);
    });

    it('fetches only the files that changed, and locks the new commit', async () => {
      await filled();
      const files = speechRepository().files.map((file) =>
        file.path === 'config.json' ? { path: file.path, bytes: '{"new":1}' } : file,
      );
      await hub.publish({ name: SPEECH_REPOSITORY, files });
      hub.requests.clear();
      const metrics = join(dir.path, 'metrics', 'update.prom');
      expect(await ok(['update', '--metrics-file', metrics])).to.match(/1 model changed/);
      expect(await readFile(metrics, 'utf8')).to.match(
        /^heimdex_downloader_reused_bytes\{command="update"\} 11667\d\d$/m,
      );
      expect(hub.requests.filter({ kind: 'bytes' }).map((request) => request.file)).to.deep.equal(['config.json']);
      expect(JSON.parse(await lockText()).models[0].revision).to.equal(hub.commit(SPEECH_REPOSITORY).sha);
      await ok(['verify']);
    });

    it('reports when nothing changed', async () => {
      await filled();
      expect(await ok(['update'])).to.match(/No changes/);
    });

    it('fetches what an unchanged model lacks, and with --dry-run says so', async () => {
      await filled();
      const before = await lockText();
      const { sha } = hub.commit(SPEECH_REPOSITORY);
      await rm(join(cache, `models--${SPEECH_REPOSITORY.replace('/', '--')}`, 'snapshots', sha), { recursive: true });
      const said = /^No changes: .* The volume lacks files of 1 model: 0 B to fetch\.$/m;
      expect(await ok(['update', '--dry-run'])).to.match(said);
      expect((await runHere(['verify'], env())).status).to.equal(3);
      expect(await ok(['update'])).to.match(said);
      await ok(['verify']);
      expect(await lockText()).to.equal(before);
    });

    it('fetches an optional file of an unchanged model, which the lock file names', async () => {
      const { files } = speechRepository();
      const optional = { path: 'special_tokens_map.json', bytes: '{}' };
      const { sha } = await hub.publish({ name: SPEECH_REPOSITORY, files: [...files, optional] });
      await ok([]);
      await rm(join(cache, `models--${SPEECH_REPOSITORY.replace('/', '--')}`, 'snapshots', sha, optional.path));
      expect((await runHere(['verify'], env())).status).to.equal(3);
      expect(await ok(['update'])).to.match(/^No changes: .* The volume lacks files of 1 model: 0 B to fetch\.$/m);
      await ok(['verify']);
    });

    it('updates the others if a model is on no hub any more, names that one and leaves it locked', async () => {
      const manifest = join(dir.path, 'manifest.json');
      const faces = (text: string) => ({ name: 'acme/faces', files: [{ path: 'faces.bin', bytes: text }] });
      await writeFile(manifest, JSON.stringify(PLAIN_FACES_MANIFEST));
      const both = { MODELS_MANIFEST: manifest, FEATURE_FACE: 'true', FACE_MODEL_NAME: 'acme/faces' };
      const locked = async () => JSON.parse(await lockText()).models;
      await hub.publish(faces('one'));
      await ok([], both);
      const [before] = await locked();
      await hub.publish(faces('another'));
      hub.faults.add({ on: { repository: SPEECH_REPOSITORY }, do: { type: 'status', status: 404 } });
      for (const attempt of ['with changes', 'without changes']) {
        const { status, stdout, stderr } = await runHere(['update'], env(both));
        expect(status, stderr).to.equal(3);
        expect(stderr).to.include(SPEECH_REPOSITORY);
        expect(stdout).to.match(attempt === 'with changes' ? /1 model changed/ : /^$/);
        const [first, second] = await locked();
        expect(first).to.deep.equal(before);
        expect(second.files[0].sizeBytes).to.equal('another'.length);
      }
    });

    it('is refused offline', async () => {
      expect((await runHere(['update'], env({ HF_HUB_OFFLINE: '1' }))).status).to.equal(3);
    });
  });

  describe('verify --quick', () => {
    it('reads nothing when nothing has changed since the download', async () => {
      await ok([]);
      expect(JSON.parse(await ok(['verify', '--quick', '--json'])).models[0].bytesRead).to.equal(0);
    });

    it('finds a changed byte by the time of change', async () => {
      await ok([]);
      const path = join(cache, 'models--acme--speech', 'snapshots', hub.commit(SPEECH_REPOSITORY).sha, ENCODER);
      const file = await open(path, 'r+');
      await file.write('x', 100);
      await file.close();
      await utimes(path, new Date(), new Date(Date.now() + 5_000));
      expect((await runHere(['verify', '--quick'], env())).status).to.equal(7);
    });
  });

  describe('list', () => {
    it('names models, sizes, what they are configured for, and the sum', async () => {
      await filled();
      await writeFile(join(cache, 'mine.onnx'), '123');
      const made = JSON.parse(await ok(['list', '--json']));
      expect(made.models[0]).to.deep.include({ repository: SPEECH_REPOSITORY, roles: ['speech'] });
      expect(made.plainFiles[0]).to.deep.include({ name: 'mine.onnx', bytes: 3, roles: [] });
      expect(made.bytes).to.equal(made.models[0].bytes + 3);
      expect(await ok(['list'])).to.match(/acme\/speech +1\.17 MB +\d{4}-\d\d-\d\d +speech/);
    });

    it('escapes names before it measures its columns, and gives no name a second line', async () => {
      const names = ['models--evil--\u001b[2J', 'models--acme--\u65e5\u672c', 'models--acme--x\nfree  1 TB'];
      for (const name of names) await mkdir(join(cache, name, 'blobs'), { recursive: true });
      const lines = (await ok(['list'])).trimEnd().split('\n');
      expect(lines).to.deep.equal([
        'MODEL               SIZE  LAST USE  CONFIGURED FOR',
        'acme/x\\nfree  1 TB  0 B   -         -',
        'acme/\u65e5\u672c           0 B   -         -',
        'evil/\\u001b[2J      0 B   -         -',
        `0 B in ${cache}`,
      ]);
      expect((await ok(['prune'])).split('\n')).to.have.length(5);
    });

    it('has no last use of a file whose time is no date', async function () {
      // Other file systems of Linux clamp the time.
      const memory = await mkdtemp('/dev/shm/heimdex-test-').catch(() => undefined);
      if (memory === undefined) {
        console.log('      No /dev/shm: a time that is no date is not tested.');
        return this.skip();
      }
      try {
        const path = join(memory, 'mine.onnx');
        await writeFile(path, '');
        await utimes(path, 1e14, 1e14);
        expect(await ok(['list'], { HF_HUB_CACHE: memory })).to.match(/^mine\.onnx +0 B +- +-$/m);
      } finally {
        await rm(memory, { recursive: true });
      }
    });

    it('of an empty volume reports it', async () => {
      expect(await ok(['list'])).to.match(/^Nothing in /);
    });
  });

  describe('prune', () => {
    it('shows what is not needed and removes it only with --yes', async () => {
      await filled();
      await hub.publish({ ...speechRepository({ seed: 'other' }), name: 'acme/other' });
      await ok([], { ASR_MODEL: 'acme/other' });
      expect(await ok(['prune']))
        .to.include('models--acme--other')
        .and.include('heimdex-downloader prune --yes');
      expect(await readdir(cache)).to.include('models--acme--other');
      await ok(['prune', '--yes']);
      expect(await readdir(cache)).not.to.include('models--acme--other');
      await ok(['verify']);
    });

    it('names only what is there', async () => {
      await filled();
      await hub.publish(speechRepository({ seed: 'moved' }));
      await ok(['update']);
      const { steps } = JSON.parse(await ok(['prune', '--json']));
      expect(steps).not.to.deep.equal([]);
      for (const { path } of steps) await lstat(path);
    });

    it('waits for a download of another process, whose models the lock file does not have yet', async () => {
      await filled();
      await hub.publish(speechRepository({ seed: 'moved' }));
      hub.faults.add({ on: { kind: 'bytes', file: ENCODER }, do: { type: 'stall', atByte: 1000 } });
      const stop = new AbortController();
      const updating = runHere(['update'], env(), { signal: stop.signal });
      await hub.requests.next({ kind: 'bytes', file: ENCODER });
      const other = env({ ASR_MODEL: 'none' });
      const pruned = await runHere(['prune', '--yes'], other, { onWait: () => stop.abort() });
      expect(pruned.status, pruned.stderr).to.equal(0);
      expect(pruned.stderr).to.include('Another process downloads or imports models to this volume; waiting for it');
      expect((await updating).status).to.equal(130);
      expect(await readdir(cache)).not.to.include('models--acme--speech');
    });

    it("says that a file is another user's to remove where the directory has the sticky bit", async function () {
      await filled();
      const blobs = join(cache, 'models--acme--speech', 'blobs');
      const left = join(blobs, `${'a'.repeat(64)}.0a1b2c3d.incomplete`);
      await writeFile(left, 'x');
      await utimes(left, 0, 0);
      await rm(join(cache, '.locks'), { recursive: true });
      await mkdir(join(cache, '.locks'));
      for (const path of [dirname(dir.path), dir.path, cache]) await chmod(path, 0o755);
      for (const path of [blobs, join(cache, '.locks')]) await chmod(path, 0o1777);
      await asAnotherUser(this, blobs, async () => {
        const result = await runHere(['prune', '--yes'], env());
        expect(result.status, result.stderr).to.equal(6);
        expect(lastLine(result).msg, result.stderr)
          .to.include(left)
          .and.include('EPERM')
          .and.include('change its owner');
      });
    });

    it('has nothing to remove before a download and after it, and says why', async () => {
      expect(await ok(['prune'])).to.match(/^Nothing to remove from \S+: nothing is there\.$/m);
      await filled();
      expect(await ok(['prune'])).to.match(/^Nothing to remove from \S+: configured models need all of it\.$/m);
      expect(JSON.parse(await ok(['prune', '--json'])).steps).to.deep.equal([]);
    });
  });

  describe('--metrics-file', () => {
    const path = () => join(dir.path, 'metrics', 'heimdex.prom');

    it('tells a good run in numbers', async () => {
      await ok(['--metrics-file', path()]);
      const text = await readFile(path(), 'utf8');
      expect(text).to.match(/^heimdex_downloader_success\{command="download"\} 1$/m);
      expect(text).to.match(/^heimdex_downloader_fetched_files\{command="download"\} 7$/m);
      expect(text).to.match(/^# TYPE heimdex_downloader_fetched_bytes gauge$/m);
    });

    it('has the number of models also of an update that changed something', async () => {
      await ok(['update', '--metrics-file', path()]);
      expect(await readFile(path(), 'utf8')).to.match(/^heimdex_downloader_models\{command="update"\} 1$/m);
    });

    it('tells a failed run and its exit status', async () => {
      const result = await runHere(['--metrics-file', path()], env({ ASR_MODEL: 'acme/missing' }));
      expect(await readFile(path(), 'utf8')).to.include(`exit_status{command="download"} ${result.status}`);
    });
  });
});
