import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readCompiledModels } from '@heimdex/cache';
import { pythonWithHub, runPython } from '@heimdex/hub';
import { expect } from 'chai';
import { bertRepository } from './support/checkpoints.js';
import { lastLine, runHere } from './support/program.js';
import { checkpointEnvironment, NAME } from './support/use-checkpoints.js';
import { useHub } from './support/use-hub.js';
import { whenTrue } from './support/volume.js';

const WEIGHTS = { kind: 'bytes', file: 'model.safetensors' } as const;

/** As transformers' from_pretrained asks for files, one after the other. */
const DOWNLOAD = `
import json, huggingface_hub as hub
for name in ["config.json", "tokenizer.json", "model.safetensors"]:
    hub.hf_hub_download("${NAME}", name)
print(json.dumps(hub.__version__))`;

const LOCAL = `
import json, huggingface_hub as hub
print(json.dumps(hub.hf_hub_download("${NAME}", "model.safetensors", local_files_only=True)))`;

const SCAN = `
import json, huggingface_hub as hub
own = (".compiled", "models.lock.json")
print(json.dumps([str(w) for w in hub.scan_cache_dir().warnings if not str(w).endswith(own)]))`;

describe("a checkpoint that Python's huggingface_hub has downloaded", () => {
  const { dir, hub } = useHub({ repositories: [bertRepository({ layers: 4 })] });
  let python = '';

  before(async function () {
    python = (await pythonWithHub(process.env)) ?? '';
    if (python !== '') return;
    console.log('      No Python with huggingface_hub: nothing is compiled from it (HEIMDEX_TEST_PYTHON names one).');
    this.skip();
  });

  const env = (more: NodeJS.ProcessEnv = {}) => checkpointEnvironment(dir.path, hub.url, more);
  const cache = () => join(dir.path, 'cache');
  const pythonEnv = () => ({
    ...process.env,
    HF_HUB_CACHE: cache(),
    HF_ENDPOINT: hub.url,
    HF_HUB_DISABLE_XET: '1',
  });
  const ask = (script: string) => runPython(python, script, pythonEnv());
  const blobs = () => readdir(join(cache(), 'models--acme--german-bert', 'blobs'));
  const incomplete = async () => (await blobs()).filter((name) => name.endsWith('.incomplete'));

  it('is compiled without a request; Python still finds it, and prune leaves it', async () => {
    await ask(DOWNLOAD);
    hub.requests.clear();
    expect((await runHere(['plan'], env())).stdout).to.include('0 bytes to fetch');
    const result = await runHere([], env());
    expect(result.status, result.stderr).to.equal(0);
    expect(hub.requests.count).to.equal(0);
    expect(result.log.filter(({ event }) => event === 'no-modules')).to.have.length(1);
    expect(await ask(LOCAL)).to.match(/model\.safetensors$/);
    expect(await ask(SCAN)).to.deep.equal([]);
    const pruned = await runHere(['prune', '--json'], env({ LOAD_BGE_M3: 'false' }));
    expect(JSON.parse(pruned.stdout).kept[0].name).to.equal(NAME);
  });

  it('and dropped for KEEP_CHECKPOINTS=false leaves a cache in which Python finds nothing corrupt', async () => {
    await ask(DOWNLOAD);
    expect((await runHere([], env({ KEEP_CHECKPOINTS: 'false' }))).status).to.equal(0);
    expect(await ask(SCAN)).to.deep.equal([]);
    expect(await blobs()).to.have.length(2);
  });

  it('halfway is not treated as complete: what is missing is fetched, and then it is compiled', async () => {
    hub.faults.add({ on: WEIGHTS, do: { type: 'stall', atByte: 300_000 } });
    const child = spawn(python, ['-c', DOWNLOAD], { env: pythonEnv(), stdio: 'ignore' });
    await whenTrue(async () => hub.requests.filter(WEIGHTS).length > 0 && (await incomplete()).length > 0);
    child.kill('SIGKILL');
    await once(child, 'close');
    expect(await incomplete()).to.have.length(1);
    hub.faults.clear();
    hub.requests.clear();
    const offline = await runHere([], env({ HF_HUB_OFFLINE: '1' }));
    expect(offline.status, offline.stderr).to.equal(3);
    const result = await runHere([], env());
    expect(result.status, result.stderr).to.equal(0);
    expect(await readCompiledModels(cache(), NAME)).to.have.length(1);
    const whole = hub.commit(NAME).files.get('model.safetensors')?.sizeBytes ?? 0;
    const sent = hub.requests.filter(WEIGHTS).reduce((sum, request) => sum + request.bytesSent, 0);
    expect(sent).to.be.within(1, whole);
    expect(await incomplete()).to.deep.equal([]);
    expect(lastLine(await runHere([], env())).msg).to.match(/^Up to date/);
  });
});
