import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Hub, pythonWithHub, runPython, startHub } from '@heimdex/hub';
import { expect } from 'chai';
import {
  CACHEDIR_TAG_NAME,
  CACHEDIR_TAG_TEXT,
  formatTree,
  inspectModel,
  loadManifest,
  planPrune,
  readTree,
  scanCache,
  type TreeEntry,
  treePath,
  verifyModel,
} from '../src/index.js';
import { findModel } from './support/find-model.js';
import { COMMIT, gitSha1, OTHER_COMMIT, SENTENCE_FILES, sha256, writeRepository } from './support/make-cache.js';
import { plainModel, sentenceModel } from './support/models.js';
import { useTempDir } from './support/temp-dir.js';

const REPOSITORY = 'fixtures/bge-m3-tiny';

const SCAN = `
import json, huggingface_hub as hub
info = hub.scan_cache_dir()
print(json.dumps({
  "warnings": [str(w) for w in info.warnings],
  "repos": [[r.repo_id, r.size_on_disk, sorted(ref for v in r.revisions for ref in v.refs)] for r in info.repos],
}))`;

const SNAPSHOT = `
import json, huggingface_hub as hub
print(json.dumps(hub.snapshot_download("${REPOSITORY}", local_files_only=True)))`;

const DOWNLOAD = `
import json, huggingface_hub as hub
print(json.dumps(hub.snapshot_download("${REPOSITORY}")))`;

const DOWNLOAD_PLAIN = `
import json, huggingface_hub as hub
print(json.dumps(hub.hf_hub_download("heimdex/face-pocket", "face_detection_pocket.onnx")))`;

const VERIFY = `
import json, huggingface_hub as hub
result = hub.HfApi().verify_repo_checksums("${REPOSITORY}")
print(json.dumps([result.checked_count, len(result.mismatches) + len(result.missing_paths)]))`;

const TREE = `
import json
from huggingface_hub._tree_cache import read_tree_cache, write_tree_cache
import os
directory = os.path.join(os.environ["HF_HUB_CACHE"], "models--fixtures--bge-m3-tiny")
entries = read_tree_cache(directory, "${COMMIT}")
write_tree_cache(directory, "${OTHER_COMMIT}", entries)
print(json.dumps({path: entry.size for path, entry in entries.items()}))`;

describe("Python's huggingface_hub", () => {
  const cache = useTempDir();
  let python = '';
  const ask = (script: string) =>
    runPython(python, script, { ...process.env, HF_HUB_CACHE: cache(), HF_HUB_OFFLINE: '1' });

  before(async function () {
    python = (await pythonWithHub(process.env)) ?? '';
    if (python !== '') return;
    console.log(
      '      No Python with huggingface_hub: what it makes of our cache is not tested (HEIMDEX_TEST_PYTHON names one).',
    );
    this.skip();
  });

  const writeTree = async (files: Readonly<Record<string, string>>) => {
    const entries = Object.entries(files).map(([path, content]): [string, TreeEntry] => {
      const large = path.endsWith('.onnx');
      const sizeBytes = content.length;
      const lfs = large
        ? { lfsSha256: sha256(content), lfsSizeBytes: sizeBytes }
        : { lfsSha256: undefined, lfsSizeBytes: undefined };
      return [path, { sizeBytes, blobId: gitSha1(content), xetHash: undefined, ...lfs }];
    });
    const path = treePath(cache(), REPOSITORY, COMMIT);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, formatTree(new Map(entries)));
  };

  it('scans a cache of our layout without a warning', async () => {
    await writeRepository(cache(), REPOSITORY, SENTENCE_FILES);
    await writeTree(SENTENCE_FILES);
    await writeFile(join(cache(), CACHEDIR_TAG_NAME), CACHEDIR_TAG_TEXT);
    await mkdir(join(cache(), '.locks'));
    await writeFile(join(cache(), '.locks', 'heimdex-proofs.json'), '{}');
    const bytes = Object.values(SENTENCE_FILES).reduce((sum, content) => sum + content.length, 0);
    expect(await ask(SCAN)).to.deep.equal({ warnings: [], repos: [[REPOSITORY, bytes, ['main']]] });
  });

  it('scans past plain files and the lock file with a warning each', async () => {
    await writeRepository(cache(), REPOSITORY, SENTENCE_FILES);
    await writeFile(join(cache(), 'face_detection_yunet_2023mar.onnx'), 'face');
    await writeFile(join(cache(), 'models.lock.json'), '{}');
    const scan = (await ask(SCAN)) as { warnings: string[]; repos: unknown[] };
    expect([scan.warnings.length, scan.repos.length]).to.deep.equal([2, 1]);
  });

  it('finds our snapshot without network', async () => {
    await writeRepository(cache(), REPOSITORY, SENTENCE_FILES);
    await writeTree(SENTENCE_FILES);
    const dir = join(cache(), 'models--fixtures--bge-m3-tiny', 'snapshots', COMMIT);
    expect(await ask(SNAPSHOT)).to.equal(dir);
  });

  it('reads our list of files, and writes one that we read the same', async () => {
    await writeRepository(cache(), REPOSITORY, SENTENCE_FILES);
    await writeTree(SENTENCE_FILES);
    const sizes = Object.fromEntries(Object.entries(SENTENCE_FILES).map(([path, content]) => [path, content.length]));
    expect(await ask(TREE)).to.deep.equal(sizes);
    expect(await readTree(cache(), REPOSITORY, OTHER_COMMIT)).to.deep.equal(
      await readTree(cache(), REPOSITORY, COMMIT),
    );
  });

  describe('and the local hub', () => {
    let hub: Hub | undefined;
    const ask = (script: string, env: NodeJS.ProcessEnv = {}) =>
      runPython(python, script, { ...process.env, HF_HUB_CACHE: cache(), HF_ENDPOINT: hub?.url, ...env });
    before(async () => {
      const files = Object.entries(SENTENCE_FILES).map(([path, bytes]) => ({ path, bytes }));
      const plain = { path: 'face_detection_pocket.onnx', bytes: 'a face detector' };
      hub = await startHub({
        pageSize: 2,
        repositories: [
          { name: REPOSITORY, files: [...files, { path: 'README.md', bytes: 'read me' }] },
          { name: 'heimdex/face-pocket', files: [plain] },
        ],
      });
    });
    after(() => hub?.close());

    it('download a snapshot that we find and verify, and that Python verifies', async () => {
      await ask(DOWNLOAD);
      const model = await findModel(cache(), sentenceModel());
      expect(model.revision).to.equal(hub?.commit(REPOSITORY).sha);
      expect(model.files.every((file) => file.expectedSizeBytes === file.sizeBytes)).to.equal(true);
      const result = await verifyModel(model, { level: 'full' });
      expect([result.problems, result.unhashed]).to.deep.equal([[], []]);
      expect(await ask(VERIFY)).to.deep.equal([5, 0]);
    });

    it('download a plain file that we find in its repository', async () => {
      await ask(DOWNLOAD_PLAIN);
      expect((await findModel(cache(), plainModel())).revision).to.equal(sha256('a face detector'));
    });

    it('leave a half snapshot with a ref when a file cannot be got, which we do not take for whole', async () => {
      hub?.faults.add({ on: { kind: 'bytes', file: '.onnx' }, do: { type: 'status', status: 404 } });
      try {
        const outcome = await ask(DOWNLOAD).catch(() => 'failed');
        expect(outcome).to.equal('failed');
        const { problems, revision } = await inspectModel(cache(), sentenceModel());
        expect(revision).to.equal(hub?.commit(REPOSITORY).sha);
        expect(problems.map(({ code, file }) => [code, file])).to.deep.include([
          'FILE_MISSING',
          'onnx/sentence_transformers.onnx',
        ]);
      } finally {
        hub?.faults.clear();
      }
    });

    it('finish a snapshot that we began', async () => {
      const { 'config.json': config } = SENTENCE_FILES;
      const commit = hub?.commit(REPOSITORY).sha ?? '';
      await writeRepository(cache(), REPOSITORY, { 'config.json': config }, { commit, ref: null });
      hub?.requests.clear();
      await ask(DOWNLOAD);
      expect(hub?.requests.filter({ kind: 'bytes', method: 'GET', file: 'config.json' })).to.have.length(0);
      expect((await findModel(cache(), sentenceModel())).files).to.have.length(4);
    });
  });

  it('finds nothing corrupt after a prune', async () => {
    await writeRepository(cache(), REPOSITORY, { ...SENTENCE_FILES, 'onnx/other.onnx': 'other' });
    await writeRepository(cache(), REPOSITORY, { 'config.json': 'old' }, { commit: OTHER_COMMIT, ref: 'v1' });
    await writeRepository(cache(), 'some/other', { 'config.json': '{}' });
    const options = { nowMs: Date.now(), lock: undefined, named: [REPOSITORY, 'some/other'] };
    const inspections = [await inspectModel(cache(), sentenceModel())];
    const plan = planPrune(await scanCache(cache()), inspections, loadManifest(), options);
    for (const { path } of plan.steps) await rm(path, { recursive: true, force: true });
    const scan = (await ask(SCAN)) as { warnings: string[]; repos: [string, number, string[]][] };
    expect(scan.warnings).to.deep.equal([]);
    expect(scan.repos.map(([name, , refs]) => [name, refs])).to.deep.equal([[REPOSITORY, ['main']]]);
  });
});
