import { createHash } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { type Hub, startHub, torchFile } from '@heimdex/hub';
import { expect } from 'chai';
import { parseArguments } from '../src/cli/arguments.js';
import type { CommandContext } from '../src/commands/context.js';
import { download } from '../src/commands/download.js';
import { plan } from '../src/commands/plan.js';
import { loadConfig, logConfig } from '../src/config.js';
import { openLog } from '../src/log.js';
import { openScreen } from '../src/progress/screen.js';
import { openRemote } from '../src/remote.js';
import { whisperCheckpoint, whisperDims, whisperHalves } from './support/checkpoints.js';
import { testEnvironment } from './support/program.js';
import { temporaryDir } from './support/volume.js';

const PT = { kind: 'bytes', file: 'tiny-test.pt' } as const;

describe("OpenAI's own file, at its address", () => {
  const dir = temporaryDir();
  const whisper = whisperCheckpoint();
  const pt = torchFile(whisperHalves(), whisperDims());
  const sha256 = createHash('sha256').update(pt).digest('hex');
  let hub: Hub;
  let told: string[];

  beforeEach(async () => {
    told = [];
    const files = [...whisper.small, { path: 'model.safetensors', bytes: whisper.safetensors }];
    hub = await startHub({
      repositories: [
        { name: 'acme/whisper-test', files },
        // Stands in for OpenAI's server.
        { name: 'openai/files', files: [{ path: 'tiny-test.pt', bytes: pt }] },
      ],
    });
  });
  afterEach(() => hub.close());

  /** The program's commands with a hub that counts as the public one. */
  async function run(
    command: (context: CommandContext) => Promise<unknown>,
    hash = sha256,
    attempts = '1',
  ): Promise<string> {
    const manifest = join(dir.path, 'models.json');
    const url = `${hub.url}/openai/files/resolve/main/tiny-test.pt`;
    const entry = {
      name: 'acme/whisper-test',
      role: 'speech',
      family: 'whisper',
      fileSet: 'whisper-checkpoint',
      sources: [
        { type: 'hf', repository: 'acme/whisper-test' },
        { type: 'url', files: [{ path: 'whisper/tiny-test.pt', url, sha256: hash }] },
      ],
    };
    await writeFile(manifest, JSON.stringify({ formatVersion: 1, models: [entry] }));
    const env = testEnvironment(dir.path, hub.url, {
      ASR_MODEL: 'acme/whisper-test',
      MODELS_MANIFEST: manifest,
      DOWNLOAD_CONNECTIONS: '1',
      DOWNLOAD_ATTEMPTS: attempts,
    });
    const config = loadConfig(env);
    const screen = openScreen(new Writable({ write: (_chunk, _encoding, done) => done() }));
    const log = openLog(logConfig({}), screen);
    const remote = openRemote(config, 'test', {
      onRetry: ({ error }) => told.push(`retry: ${error.message}`),
      onSourceFailed: (_model, source, error) => told.push(`${source} failed: ${error.message}`),
    });
    let said = '';
    try {
      await command({
        args: parseArguments(['plan', '--json']),
        config,
        env,
        log,
        screen,
        stdin: Readable.from([]),
        stdout: new Writable(),
        print: (result) => {
          said += typeof result === 'string' ? result : JSON.stringify(result);
        },
        count: () => {},
        remote: { ...remote, isPublicHub: true },
        signal: new AbortController().signal,
      });
    } finally {
      remote.close();
    }
    return said;
  }

  const path = () => join(dir.path, 'cache', 'whisper', 'tiny-test.pt');

  it('is planned with its hash before its first byte, because it is half the size of the safetensors', async () => {
    const { models } = JSON.parse(await run(plan));
    expect(models[0].compile).to.deep.include({ from: ['whisper/tiny-test.pt'], why: 'the smallest' });
    const file = models[0].files.find((one: { path: string }) => one.path === 'whisper/tiny-test.pt');
    expect(file).to.deep.include({ action: 'fetch', bytes: pt.length, hash: { type: 'sha256', value: sha256 } });
    expect(pt.length).to.be.below(whisper.safetensors.length);
  });

  it('is chosen though its address is busy at first, and each retry is told', async () => {
    hub.faults.add({ on: PT, do: { type: 'status', status: 503 }, times: 2 });
    const { models } = JSON.parse(await run(plan, sha256, '8'));
    expect(models[0].compile).to.deep.include({ from: ['whisper/tiny-test.pt'] });
    expect(told.map((line) => line.split(':')[0])).to.deep.equal(['retry', 'retry']);
  });

  it('is told to be passed over when its address stays busy', async () => {
    hub.faults.add({ on: PT, do: { type: 'status', status: 503 } });
    const { models } = JSON.parse(await run(plan, sha256, '8'));
    expect(models[0].compile).to.deep.include({ from: ['model.safetensors'], why: 'the only one' });
    expect(told.at(-1)).to.match(/^url failed: .* answered 503/);
    expect(hub.requests.filter(PT)).to.have.length(3);
  });

  it("is fetched to openai-whisper's path, and compiled", async () => {
    await run(download);
    expect((await readFile(path())).equals(pt)).to.equal(true);
    expect(hub.requests.filter({ kind: 'bytes', file: 'model.safetensors' })).to.deep.equal([]);
    const lock = JSON.parse(await readFile(join(dir.path, 'cache', 'models.lock.json'), 'utf8'));
    const file = lock.models[0].files.find((one: { path: string }) => one.path === 'whisper/tiny-test.pt');
    expect(file).to.include({ sha256 });
  });

  it('is resumed after an interrupted run', async () => {
    const cut = 200_000;
    // The first answer is asked for its size alone.
    hub.faults.add({ on: PT, do: { type: 'drop', atByte: cut }, after: 1 });
    const error = await run(download).catch((reason: unknown) => reason);
    expect(error).to.include({ code: 'UNREACHABLE' });
    expect(await stat(path()).catch(() => 'none')).to.equal('none');
    hub.faults.clear();
    hub.requests.clear();
    await run(download);
    expect((await readFile(path())).equals(pt)).to.equal(true);
    // The first answer, again, is asked for its size; of the rest all but the last part of the run before is there.
    const [, ...rest] = hub.requests.filter(PT);
    const fetched = rest.reduce((sum, request) => sum + request.bytesSent, 0);
    expect(fetched).to.be.within(pt.length - cut, pt.length - cut + 64 * 1024);
  });

  it("with other bytes than its URL's hash is never stored there", async () => {
    const error = await run(download, 'a'.repeat(64)).catch((reason: unknown) => reason);
    expect(error).to.include({ code: 'HASH_MISMATCH' });
    const left = await readdir(join(dir.path, 'cache', 'whisper')).catch(() => []);
    expect(left).not.to.include('tiny-test.pt');
  });
});
