import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { embeddedRepositories, startHub } from '@heimdex/hub';
import { download } from '../../src/acts/download.js';
import { serve } from '../../src/acts/serve.js';
import { EMBEDDED_MODELS } from '../../src/demo.js';
import { Show } from '../../src/show.js';
import { Workplace } from '../../src/workplace.js';

/** A real server on the embedded models, and an empty directory beside it. */
export interface LiveServer {
  readonly address: string;
  readonly dir: string;
  close(): Promise<void>;
}

/** Fills a volume from a local hub and serves it. */
export async function startLiveServer(): Promise<LiveServer> {
  const dir = await mkdtemp(join(tmpdir(), 'heimdex-live-'));
  const workplace = await Workplace.open(process.env);
  const silent = new Show(new PassThrough().resume(), true);
  const { signal } = new AbortController();
  const hub = await startHub({ repositories: await embeddedRepositories() });
  try {
    await download(silent, workplace, hub, EMBEDDED_MODELS, signal);
  } finally {
    await hub.close();
  }
  const { address, client } = await serve(silent, workplace, EMBEDDED_MODELS, signal);
  client.close();
  return {
    address,
    dir,
    close: async () => {
      await workplace.close();
      await rm(dir, { recursive: true });
    },
  };
}
