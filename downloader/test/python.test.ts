import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pythonWithHub, runPython } from '@heimdex/hub';
import { expect } from 'chai';
import { runChild } from './support/child.js';
import { lastLine, runHere } from './support/program.js';
import { ENCODER, SPEECH_REPOSITORY, seededBytes, speechRepository } from './support/repositories.js';
import { useHub } from './support/use-hub.js';
import { whenTrue } from './support/volume.js';

const DOWNLOAD = `
import json, huggingface_hub as hub
print(json.dumps(hub.snapshot_download("${SPEECH_REPOSITORY}")))`;

const OFFLINE = `
import json, huggingface_hub as hub
path = hub.snapshot_download("${SPEECH_REPOSITORY}", local_files_only=True, ignore_patterns=["README.md"])
print(json.dumps({"path": path, "repos": [r.repo_id for r in hub.scan_cache_dir().repos]}))`;

const VERIFY = `
import json, huggingface_hub as hub
result = hub.HfApi().verify_repo_checksums("${SPEECH_REPOSITORY}")
print(json.dumps([result.checked_count, len(result.mismatches)]))`;

const onEncoder = { kind: 'bytes', file: ENCODER } as const;

describe("the downloader with Python's huggingface_hub", () => {
  const { dir, hub, env } = useHub({ repositories: [speechRepository({ encoderBytes: 3_000_000 })] });
  let python = '';
  let repo: string;
  let bin: string;

  before(async function () {
    python = (await pythonWithHub(process.env)) ?? '';
    if (python !== '') return;
    console.log('      No Python with huggingface_hub: its tests are skipped (HEIMDEX_TEST_PYTHON names one).');
    this.skip();
  });
  beforeEach(async () => {
    repo = join(dir.path, 'cache', 'models--acme--speech');
    bin = hub.commit(SPEECH_REPOSITORY).files.get(ENCODER)?.lfsOid ?? '';
  });

  const ask = (script: string, more: NodeJS.ProcessEnv = {}) =>
    runPython(python, script, {
      ...process.env,
      HF_HUB_CACHE: join(dir.path, 'cache'),
      HF_ENDPOINT: hub.url,
      HF_HUB_DISABLE_XET: '1',
      ...more,
    });
  const encoderBytesSent = () => hub.requests.filter(onEncoder).reduce((sum, request) => sum + request.bytesSent, 0);
  const encoderRequested = () => whenTrue(async () => hub.requests.filter(onEncoder).length > 0);

  it('writes what Python finds offline, scans and verifies', async () => {
    await runHere([], env());
    const snapshot = join(repo, 'snapshots', hub.commit(SPEECH_REPOSITORY).sha);
    expect(await ask(OFFLINE, { HF_HUB_OFFLINE: '1' })).to.deep.equal({ path: snapshot, repos: [SPEECH_REPOSITORY] });
    expect(await ask(VERIFY)).to.deep.equal([7, 0]);
  });

  it('uses what Python has downloaded, without a request', async () => {
    await ask(DOWNLOAD);
    hub.requests.clear();
    const result = await runHere([], env());
    expect(result.status, result.stderr).to.equal(0);
    expect(hub.requests.count).to.equal(0);
    expect((await runHere(['verify'], env())).status).to.equal(0);
  });

  it('resumes the temporary file of a Python that was killed', async () => {
    await mkdir(join(repo, 'blobs'), { recursive: true });
    const bytes = seededBytes(3_000_000, 'encoder one').subarray(0, 2_000_000);
    await writeFile(join(repo, 'blobs', `${bin}.${'0'.repeat(8)}.incomplete`), bytes);
    expect((await runHere([], env())).status).to.equal(0);
    expect(encoderBytesSent()).to.equal(1_000_000);
    expect((await readdir(join(repo, 'blobs'))).filter((name) => name.includes('incomplete'))).to.deep.equal([]);
  });

  it('completes a snapshot of which Python has written the ref and not the files', async () => {
    await ask(DOWNLOAD);
    await rm(join(repo, 'snapshots'), { recursive: true });
    await rm(join(repo, 'blobs'), { recursive: true });
    expect((await runHere([], env())).status).to.equal(0);
    expect(await ask(VERIFY)).to.deep.equal([7, 0]);
  });

  it('waits for a Python that is fetching the same file, and finds it done', async () => {
    hub.faults.add({ on: onEncoder, do: { type: 'slow', partBytes: 200_000, pauseMs: 100 } });
    const other = ask(DOWNLOAD);
    await encoderRequested();
    const ours = await runChild([], env());
    expect(ours.status, ours.stderr).to.equal(0);
    expect(ours.stderr).to.include('"event":"wait"');
    await other;
    expect(encoderBytesSent()).to.equal(3_000_000);
  });

  it('is waited for by a Python that wants the same file', async () => {
    hub.faults.add({ on: onEncoder, do: { type: 'slow', partBytes: 40_000, pauseMs: 50 } });
    const ours = runChild([], env({ DOWNLOAD_CONNECTIONS: '1' }));
    await encoderRequested();
    await ask(DOWNLOAD);
    const { status, stderr } = await ours;
    expect(status, stderr).to.equal(0);
    expect(encoderBytesSent()).to.equal(3_000_000);
  });

  it('updates a snapshot of Python when its branch has moved, and Python follows', async () => {
    await ask(DOWNLOAD);
    await runHere([], env());
    await hub.publish(speechRepository({ seed: 'two', encoderBytes: 3_000_000 }));
    const result = await runHere(['update'], env());
    expect(result.status, result.stderr).to.equal(0);
    expect(lastLine(result)).to.include({ event: 'updated' });
    const snapshot = join(repo, 'snapshots', hub.commit(SPEECH_REPOSITORY).sha);
    expect(await ask(OFFLINE, { HF_HUB_OFFLINE: '1' })).to.deep.include({ path: snapshot });
  });
});
