import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { embeddedRepositories, startHub } from '@heimdex/hub';
import { EMBEDDED_MODELS } from '../../src/demo.js';
import { Sandbox } from '../../src/sandbox.js';
import { Show } from '../../src/show.js';
import { download } from '../../src/steps/download.js';
import { serve } from '../../src/steps/serve.js';

/** A server with the embedded models, and an empty directory for the test. */
export interface LiveServer {
  readonly address: string;
  readonly dir: string;
  close(): Promise<void>;
}

/** Fills a volume from a local hub and starts a server on it. */
export async function startLiveServer(): Promise<LiveServer> {
  const dir = await mkdtemp(join(tmpdir(), 'heimdex-live-'));
  const sandbox = await Sandbox.open(process.env);
  const silent = new Show(new PassThrough().resume(), true);
  const { signal } = new AbortController();
  const hub = await startHub({ repositories: await embeddedRepositories() });
  try {
    await download(silent, sandbox, hub, EMBEDDED_MODELS, signal);
  } finally {
    await hub.close();
  }
  const { address, client } = await serve(silent, sandbox, EMBEDDED_MODELS, signal);
  client.close();
  return {
    address,
    dir,
    close: async () => {
      await sandbox.close();
      await rm(dir, { recursive: true });
    },
  };
}
