import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { blobPath, type ConfiguredModel, loadManifest, resolveModel, type Tree } from '@heimdex/cache';
import { expect } from 'chai';
import { chooseSource } from '../src/checkpoint-source.js';
import { loadConfig } from '../src/config.js';
import { DownloaderError } from '../src/errors.js';
import { openRemote, type Remote } from '../src/remote.js';
import type { ByteSource } from '../src/transfer/source.js';
import { temporaryDir } from './support/volume.js';

const REPOSITORY = 'openai/whisper-medium';
const COMMIT = 'a'.repeat(40);
const SAFETENSORS = 'b'.repeat(64);

describe('of several checkpoints of the same weights', () => {
  const dir = temporaryDir();
  const entry = (sizeBytes: number, sha256?: string) => ({
    sizeBytes,
    blobId: 'c'.repeat(40),
    lfsSha256: sha256,
    lfsSizeBytes: sha256 === undefined ? undefined : sizeBytes,
    xetHash: undefined,
  });
  const tree: Tree = new Map([
    ['config.json', entry(10)],
    ['model.safetensors', entry(3_000, SAFETENSORS)],
    ['pytorch_model.bin', entry(3_001, 'f'.repeat(64))],
  ]);

  /** The way to the public hub, on which OpenAI's address answers with a size, or not at all. */
  function remote(sizeBytes: number | undefined, endpoint = 'https://huggingface.co'): Remote {
    const config = loadConfig({ HF_ENDPOINT: endpoint, HF_HUB_CACHE: dir.path });
    const events = {
      onRetry: () => {},
      onSourceFailed: (_model: string, _source: string, error: Error) => told.push(error.message),
    };
    const urlFile = (url: URL): ByteSource => ({
      label: url.href,
      async open() {
        if (sizeBytes === undefined) throw new DownloaderError('UNREACHABLE', 'no way to it');
        return { start: 0, totalBytes: sizeBytes, ranged: true, body: noBytes(), close: () => {} };
      },
    });
    return { ...openRemote(config, 'test', events), urlFile };
  }

  let told: string[];
  beforeEach(() => {
    told = [];
  });

  const choose = (way: Remote, configured: ConfiguredModel = resolveModel(loadManifest(), 'speech', 'medium')) => {
    const { compile } = configured;
    if (compile === undefined) throw new Error('nothing to compile');
    const search = { repository: { repository: REPOSITORY, commit: COMMIT }, tree, cacheDir: dir.path, remote: way };
    return chooseSource(configured, compile, search, new AbortController().signal);
  };
  const chosen = async (...args: Parameters<typeof choose>) => {
    const choice = await choose(...args);
    return [choice?.files.map(({ path }) => path).join(), choice?.why];
  };

  it('the smallest is taken', async () => {
    expect(await chosen(remote(1_500))).to.deep.equal(['whisper/medium.pt', 'the smallest']);
    expect(await chosen(remote(4_000))).to.deep.equal(['model.safetensors', 'the smallest']);
  });

  it("is the repository's own if the other address does not respond, or the hub is a private mirror", async () => {
    expect(await chosen(remote(undefined))).to.deep.equal(['model.safetensors', 'the only one']);
    expect(told).to.deep.equal(['no way to it']);
    expect(await chosen(remote(1_500, 'https://hub.example.com'))).to.deep.equal(['model.safetensors', 'the only one']);
  });

  it('the one on the volume is taken, though another is smaller', async () => {
    const blob = blobPath(dir.path, REPOSITORY, SAFETENSORS);
    await mkdir(join(blob, '..'), { recursive: true });
    await writeFile(blob, Buffer.alloc(3_000));
    expect(await chosen(remote(1_500))).to.deep.equal(['model.safetensors', 'on the volume']);
  });

  it('does not count an unfinished file as present', async () => {
    const blob = blobPath(dir.path, REPOSITORY, SAFETENSORS);
    await mkdir(join(blob, '..'), { recursive: true });
    await writeFile(`${blob}.incomplete`, Buffer.alloc(3_000));
    await writeFile(`${blob}.0a1b2c3d.incomplete`, Buffer.alloc(3_000));
    expect(await chosen(remote(1_500))).to.deep.equal(['whisper/medium.pt', 'the smallest']);
  });

  it('one of the right name and other bytes is not taken, and nothing is fetched over it', async () => {
    await mkdir(join(dir.path, 'whisper'));
    await writeFile(join(dir.path, 'whisper', 'medium.pt'), 'my own');
    expect(await chosen(remote(1_500))).to.deep.equal(['model.safetensors', 'the only one']);
    expect(told).to.have.length(1);
    expect(told[0]).to.include(createHash('sha256').update('my own').digest('hex'));
  });
});

async function* noBytes(): AsyncGenerator<Buffer> {}
