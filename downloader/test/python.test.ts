import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Hub, pythonWithHub, runPython, startHub } from '@heimdex/hub';
import { expect } from 'chai';
import { startChild } from './support/child.js';
import { lastLine, runHere, testEnvironment } from './support/program.js';
import { DECODER, ENCODER, SPEECH_REPOSITORY, speechRepository } from './support/repositories.js';
import { temporaryFolder } from './support/volume.js';

const SCAN = `
import json, huggingface_hub as hub
info = hub.scan_cache_dir()
print(json.dumps([[str(w) for w in info.warnings], [[r.repo_id, r.nb_files] for r in info.repos]]))`;

const SNAPSHOT = `
import json, huggingface_hub as hub
print(json.dumps(hub.snapshot_download("${SPEECH_REPOSITORY}", local_files_only=True)))`;

const DOWNLOAD = `
import json, huggingface_hub as hub
print(json.dumps(hub.snapshot_download("${SPEECH_REPOSITORY}")))`;

const VERIFY = `
import json, huggingface_hub as hub
result = hub.HfApi().verify_repo_checksums("${SPEECH_REPOSITORY}")
print(json.dumps([result.checked_count, len(result.mismatches)]))`;

describe("the downloader and Python's huggingface_hub", () => {
  const folder = temporaryFolder();
  let python = '';
  let hub: Hub;
  const env = (more: NodeJS.ProcessEnv = {}) => testEnvironment(folder.path, hub.url, more);
  const ask = (script: string, more: NodeJS.ProcessEnv = {}) =>
    runPython(python, script, { ...process.env, ...env(), ...more });

  before(async function () {
    python = (await pythonWithHub(process.env)) ?? '';
    if (python !== '') return;
    console.log(
      '      No Python with huggingface_hub: sharing a cache with it is not tested (HEIMDEX_TEST_PYTHON names one).',
    );
    this.skip();
  });
  beforeEach(async () => {
    hub = await startHub({ repositories: [speechRepository()] });
  });
  afterEach(() => hub.close());

  it('Python finds, scans and verifies what the downloader wrote', async () => {
    await runHere([], env());
    const offline = { HF_HUB_OFFLINE: '1' };
    const { sha } = hub.commit(SPEECH_REPOSITORY);
    expect(await ask(SNAPSHOT, offline)).to.equal(join(folder.path, 'cache', 'models--acme--speech', 'snapshots', sha));
    const [warnings, repositories] = (await ask(SCAN, offline)) as [string[], unknown[]];
    expect(repositories).to.deep.equal([[SPEECH_REPOSITORY, 7]]);
    expect(warnings.filter((warning) => !warning.includes('models.lock.json'))).to.deep.equal([]);
    expect(await ask(VERIFY)).to.deep.equal([7, 0]);
  });

  it('the downloader fetches nothing of what Python wrote', async () => {
    await ask(DOWNLOAD);
    hub.requests.clear();
    const result = await runHere([], env());
    expect([result.status, lastLine(result).fetchedFiles], result.stderr).to.deep.equal([0, 0]);
    expect(hub.requests.filter({ kind: 'bytes', method: 'GET' })).to.deep.equal([]);
    expect((await runHere(['verify'], env())).status).to.equal(0);
  });

  it('the downloader finishes what Python began, past its ref and its orphans', async () => {
    hub.faults.add({ on: { kind: 'bytes', file: DECODER, method: 'GET' }, do: { type: 'drop', atByte: 100_000 } });
    expect(await ask(DOWNLOAD, { HF_HUB_DOWNLOAD_TIMEOUT: '1' }).catch(() => 'failed')).to.equal('failed');
    hub.faults.clear();
    const result = await runHere([], env());
    expect(result.status, result.stderr).to.equal(0);
    expect((await runHere(['verify'], env())).status).to.equal(0);
  });

  it('Python finishes what the downloader began', async () => {
    await runHere([], env());
    const repo = join(folder.path, 'cache', 'models--acme--speech');
    const { sha, files } = hub.commit(SPEECH_REPOSITORY);
    await rm(join(repo, 'snapshots', sha, ENCODER));
    await rm(join(repo, 'blobs', files.get(ENCODER)?.lfsOid ?? ''));
    hub.requests.clear();
    await ask(DOWNLOAD);
    const fetched = hub.requests.filter({ kind: 'bytes', method: 'GET' }).map(({ file }) => file);
    expect(fetched.sort()).to.deep.equal(['README.md', ENCODER]);
    expect((await runHere(['verify'], env())).status).to.equal(0);
  });

  it('both at once leave one whole volume', async () => {
    hub.faults.add({ on: { kind: 'bytes', file: '.onnx' }, do: { type: 'slow', pieceBytes: 65_536, pauseMs: 20 } });
    const started = hub.requests.next({ kind: 'bytes', file: '.onnx' });
    const ours = startChild([], env());
    await started;
    const [child, theirs] = await Promise.all([ours.ended, ask(DOWNLOAD)]);
    expect(child.status, child.stderr).to.equal(0);
    expect(theirs).to.be.a('string');
    const read = hub.requests.filter({ kind: 'bytes', method: 'GET', file: ENCODER });
    const bytes = read.reduce((sum, { bytesSent }) => sum + bytesSent, 0);
    expect(bytes, 'the encoder came over the wire once').to.be.below(1.5 * 700_000);
    expect((await runHere(['verify'], env())).status).to.equal(0);
    expect(await ask(VERIFY)).to.deep.equal([8, 0]);
  });
});
