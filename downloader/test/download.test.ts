import { lstat, readdir, readFile, readlink, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { lastLine, runHere } from './support/program.js';
import { DECODER, ENCODER, SPEECH_REPOSITORY, speechRepository } from './support/repositories.js';
import { useHub } from './support/use-hub.js';

describe('heimdex-downloader download', () => {
  const { dir, hub, env } = useHub({ token: 'hf_right' });
  let repo: string;

  beforeEach(async () => {
    repo = join(dir.path, 'cache', 'models--acme--speech');
  });

  it('writes blobs by their hash, relative pointers and the ref without a newline', async () => {
    const result = await runHere([], env());
    expect(result.status, result.stderr).to.equal(0);
    const commit = hub.commit(SPEECH_REPOSITORY);
    expect(await readFile(join(repo, 'refs', 'main'), 'utf8')).to.equal(commit.sha);
    const encoder = commit.files.get(ENCODER)?.lfsOid;
    expect(await readlink(join(repo, 'snapshots', commit.sha, ENCODER))).to.equal(`../../../blobs/${encoder}`);
    const config = commit.files.get('config.json')?.oid;
    expect(await readlink(join(repo, 'snapshots', commit.sha, 'config.json'))).to.equal(`../../blobs/${config}`);
    expect(await readFile(join(dir.path, 'cache', 'CACHEDIR.TAG'), 'utf8')).to.match(/^Signature: 8a477f597d28d17/);
  });

  it('writes the list of files when all of them are there: with a longer list Python calls the snapshot broken', async () => {
    await runHere([], env());
    const trees = () => readdir(join(repo, 'trees')).catch(() => []);
    expect(await trees()).to.deep.equal([]);
    const { files, name } = speechRepository();
    const commit = await hub.publish({ name, files: files.filter(({ path }) => path !== 'README.md') });
    await runHere(['update'], env());
    expect(await trees()).to.deep.equal([`${commit.sha}.json`]);
    const tree = join(repo, 'trees', `${commit.sha}.json`);
    expect((await stat(tree)).mode & 0o777).to.equal(0o644);
    const listed = JSON.parse(await readFile(tree, 'utf8')).files[ENCODER];
    expect(listed.lfs_sha256).to.equal(commit.files.get(ENCODER)?.lfsOid);
  });

  it('fetches what the model needs and nothing else', async () => {
    await runHere([], env());
    const fetched = hub.requests.filter({ kind: 'bytes' }).map((request) => request.file);
    expect(fetched).to.include('tokenizer.json');
    expect(fetched).not.to.include('README.md');
  });

  it('leaves only files that another user can read, and no temporary ones', async () => {
    await runHere([], env());
    const names = await readdir(join(repo, 'blobs'));
    expect(names.filter((name) => !/^[0-9a-f]{40}([0-9a-f]{24})?$/.test(name))).to.deep.equal([]);
    for (const name of names) expect((await stat(join(repo, 'blobs', name))).mode & 0o777).to.equal(0o644);
    expect((await stat(repo)).mode & 0o755).to.equal(0o755);
  });

  it('makes no request when everything is there', async () => {
    await runHere([], env());
    hub.requests.clear();
    const result = await runHere([], env());
    expect(result.status).to.equal(0);
    expect(hub.requests.count).to.equal(0);
    expect(lastLine(result)).to.include({ event: 'summary', fetchedFiles: 0, models: 1 });
  });

  it('reads no byte of a model when everything is there: other bytes of the same size go unseen until verify', async () => {
    await runHere([], env());
    const path = join(repo, 'snapshots', hub.commit(SPEECH_REPOSITORY).sha, DECODER);
    await writeFile(path, Buffer.alloc((await stat(path)).size, 'x'));
    hub.requests.clear();
    expect((await runHere([], env())).status).to.equal(0);
    expect(hub.requests.count).to.equal(0);
    expect((await runHere(['verify'], env())).status).to.equal(7);
  });

  it('fetches a truncated file again and nothing else', async () => {
    await runHere([], env());
    await truncate(join(repo, 'snapshots', hub.commit(SPEECH_REPOSITORY).sha, DECODER), 1000);
    hub.requests.clear();
    const result = await runHere([], env());
    expect(result.status, result.stderr).to.equal(0);
    expect(new Set(hub.requests.filter({ kind: 'bytes' }).map((request) => request.file))).to.deep.equal(
      new Set([DECODER]),
    );
    expect((await runHere(['verify'], env())).status).to.equal(0);
  });

  it('uses blobs without a pointer once their bytes are verified', async () => {
    await runHere([], env());
    await rm(join(repo, 'snapshots'), { recursive: true });
    hub.requests.clear();
    const result = await runHere([], env());
    expect(result.status, result.stderr).to.equal(0);
    expect(hub.requests.filter({ kind: 'bytes' })).to.deep.equal([]);
    expect(
      (await lstat(join(repo, 'snapshots', hub.commit(SPEECH_REPOSITORY).sha, ENCODER))).isSymbolicLink(),
    ).to.equal(true);
  });

  it('counts the fetched files and bytes in its summary', async () => {
    const result = await runHere([], env());
    const commit = hub.commit(SPEECH_REPOSITORY);
    const bytes = [...commit.files.values()]
      .filter((file) => file.path !== 'README.md')
      .reduce((sum, file) => sum + file.sizeBytes, 0);
    expect(lastLine(result)).to.include({ event: 'summary', fetchedFiles: 7, fetchedBytes: bytes });
  });

  it('writes human-readable text if configured', async () => {
    const result = await runHere([], env({ LOG_FORMAT: 'human' }));
    expect(result.stderr).to.match(/^Fetching 7 files, 1\.17 MB, into /m);
    expect(result.stderr).to.match(/^Downloaded 7 files, 1\.17 MB in \d/m);
  });

  for (const variables of [['HF_HUB_OFFLINE'], ['TRANSFORMERS_OFFLINE'], ['HF_HUB_OFFLINE', 'TRANSFORMERS_OFFLINE']]) {
    it(`makes no request offline and lists what is missing, with what to change: ${variables.join(', ')}`, async () => {
      const offline = Object.fromEntries(variables.map((name) => [name, '1']));
      const change = variables.map((name) => `${name}=0 `).join('');
      for (const command of ['download', 'update']) {
        const result = await runHere([command], env(offline));
        expect(result.status).to.equal(3);
        expect(lastLine(result).msg).to.include(`run: ${change}heimdex-downloader ${command}`);
        if (command === 'download') expect(lastLine(result).msg).to.include(ENCODER);
      }
      expect(hub.requests.count).to.equal(0);
    });
  }

  it('warns of a variable that looks misspelt, and asks whether another model was meant', async () => {
    const result = await runHere([], env({ ASR_MODLE: 'base', ASR_MODEL: 'onnx-community/whisper-bse' }));
    expect(result.status, result.stderr).to.equal(4);
    expect(result.log[0]).to.include({ level: 'warn', event: 'variable' });
    expect(result.log[0]?.msg).to.include('ASR_MODLE').and.include('did you mean ASR_MODEL?');
    expect(lastLine(result).msg).to.include('did you mean "onnx-community/whisper-base"?');
  });

  it('needs no network when everything is there, offline', async () => {
    await runHere([], env());
    expect((await runHere([], env({ HF_HUB_OFFLINE: '1' }))).status).to.equal(0);
  });

  it('keeps to a model that an earlier run published when another one fails', async () => {
    await hub.publish({ ...speechRepository({ seed: 'two' }), name: 'acme/private', gated: true });
    await runHere([], env());
    hub.requests.clear();
    const result = await runHere([], env({ ASR_MODEL: 'acme/private' }));
    expect(result.status).to.equal(4);
    expect((await runHere(['verify'], env())).status).to.equal(0);
  });

  describe('refuses', () => {
    const cases: readonly { name: string; env: NodeJS.ProcessEnv; status: number; code: string; says: string }[] = [
      {
        name: 'a repository that does not exist',
        env: { ASR_MODEL: 'acme/other' },
        status: 4,
        code: 'AUTH_REQUIRED',
        says: 'acme/other',
      },
      {
        name: 'a repository that does not exist, with a token',
        env: { ASR_MODEL: 'acme/other', HF_TOKEN: 'hf_right' },
        status: 3,
        code: 'NOT_FOUND',
        says: 'acme/other',
      },
      {
        name: 'an unknown model name',
        env: { ASR_MODEL: 'gigantic' },
        status: 2,
        code: 'MODEL_UNKNOWN',
        says: 'gigantic',
      },
      {
        name: 'a wrong setting',
        env: { DOWNLOAD_CONNECTIONS: 'many' },
        status: 2,
        code: 'ENVIRONMENT_INVALID',
        says: 'DOWNLOAD_CONNECTIONS',
      },
      {
        name: 'a variant the repository lacks',
        env: { ASR_MODEL: 'acme/speech:fp32' },
        status: 3,
        code: 'NOT_FOUND',
        says: 'onnx/encoder_model.onnx',
      },
    ];
    for (const { name, env: more, status, code, says } of cases) {
      it(`${name}: exit ${status}`, async () => {
        const result = await runHere([], env(more));
        expect(result.status, result.stderr).to.equal(status);
        expect(lastLine(result)).to.include({ level: 'error', code });
        expect(lastLine(result).msg).to.include(says);
      });
    }

    it('an option it does not know: exit 2', async () => {
      const result = await runHere(['--fast'], env());
      expect(result.status).to.equal(2);
      expect(lastLine(result).msg).to.include('Unknown option --fast').and.include('heimdex-downloader --help');
    });

    it('a command it does not know: exit 2', async () => {
      expect((await runHere(['fetch'], env())).status).to.equal(2);
    });
  });
});
