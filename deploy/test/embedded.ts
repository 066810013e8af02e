/** Runs the downloader and a server with the embedded models, as users start them. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { embeddedRepositories, startHub } from '@heimdex/hub';
import { ROOT } from './support.js';

export interface EmbeddedServer {
  /** `host:port` of the server. */
  readonly address: string;
  /** Environment with the programs in PATH and the server and its models configured. */
  readonly env: NodeJS.ProcessEnv;
  /** Directory for the caller's files, removed with the server. */
  readonly dir: string;
  close(): Promise<void>;
}

/**
 * Downloads the embedded models from a local hub and serves them. Resolves when the server is ready; rejects with its reason.
 *
 * @param variables further environment variables of both programs
 */
export async function startEmbeddedServer(variables: NodeJS.ProcessEnv = {}): Promise<EmbeddedServer> {
  const dir = await mkdtemp(join(tmpdir(), 'heimdex-deploy-'));
  const hub = await startHub({ repositories: await embeddedRepositories() });
  const address = `127.0.0.1:${await freePort()}`;
  const env = {
    PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env.PATH}`,
    HOME: dir,
    MODELS_DIR: dir,
    ASR_MODEL: 'moonshine-tiny',
    VISION_MODEL_NAME: 'heimdex/siglip-pocket',
    FEATURE_FACE: 'true',
    FACE_MODEL_NAME: 'heimdex/face-pocket',
    HF_ENDPOINT: hub.url,
    HEIMDEX_ADDRESS: address,
    PORT: address.split(':')[1],
    HOST: '127.0.0.1',
    // Further ones take as long to start as the first.
    WORKERS_SPEECH: '1',
    WORKERS_VISION: '1',
    WORKERS_FACES: '1',
    ...variables,
  };
  let server: ChildProcess | undefined;
  const close = async () => {
    if (server !== undefined && server.exitCode === null) {
      server.kill('SIGTERM');
      await once(server, 'close');
    }
    await hub.close();
    await rm(dir, { recursive: true, force: true });
  };
  try {
    const downloader = spawn('heimdex-downloader', { env, stdio: 'ignore' });
    const [status] = await once(downloader, 'close');
    if (status !== 0) throw new Error(`heimdex-downloader ended with ${status}`);
    server = spawn('heimdex-inference', { env, stdio: 'ignore' });
    const ready = spawnSync('heimdex', ['health', '--wait', '100'], { env, encoding: 'utf8' });
    if (ready.status !== 0) throw new Error(`The server did not become ready: ${ready.stderr}`);
  } catch (error) {
    await close();
    throw error;
  }
  return { address, env, dir, close };
}

/** Returns a currently free port. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('Expected a TCP port');
  return address.port;
}
