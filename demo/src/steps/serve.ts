import { createInferenceClient, type InferenceClient } from '@heimdex/client';
import { formatCount } from '@heimdex/common';
import type { Program } from '../program.js';
import type { Sandbox } from '../sandbox.js';
import { formatMegabytes, formatMs, type Show } from '../show.js';
import type { ModelSettings } from './download.js';

/** A running server and its client. */
export interface RunningServer {
  readonly address: string;
  readonly client: InferenceClient;
  /** Drains and stops the server. */
  stop(): Promise<void>;
}

/** Further ones, by default one for each core or two, would start while the demo measures the first. */
const ONE_WORKER_EACH = { WORKERS_SPEECH: '1', WORKERS_VISION: '1', WORKERS_TEXT: '1', WORKERS_FACES: '1' };

/** Starts the server on the volume and waits until it is serving. */
export async function serve(
  show: Show,
  sandbox: Sandbox,
  settings: ModelSettings,
  signal: AbortSignal,
): Promise<RunningServer> {
  show.step('Serve offline: the hub is closed, the server reads only the volume');
  show.command('HF_HUB_OFFLINE=1 npx heimdex-inference');
  const startMs = performance.now();
  const offline = { HF_HUB_OFFLINE: '1', HOST: '127.0.0.1', PORT: '0', PLAYGROUND: 'true' };
  const program = sandbox.start('heimdex-inference', [], { ...settings, ...offline, ...ONE_WORKER_EACH });
  const address = await program.find((line) => /Listening on ([^\s"]+)/.exec(line)?.[1], signal);
  const client = createInferenceClient({ address });
  try {
    await ready(program, client, signal);
    show.item('ready', show.good(`on ${address} after ${formatMs(performance.now() - startMs)}, each model warmed up`));
    await showModels(show, client, signal);
  } catch (error) {
    client.close();
    throw error;
  }
  return { address, client, stop: () => program.stop() };
}

/** Waits for SERVING. Rejects if the server ends first. */
async function ready(program: Program, client: InferenceClient, signal: AbortSignal): Promise<void> {
  const ended = new AbortController();
  void program.ended.then(() => ended.abort(program.failure('ended before it was ready')));
  try {
    for await (const status of client.watchHealth('', { signal: AbortSignal.any([signal, ended.signal]) })) {
      if (status === 'SERVING') return;
    }
  } catch (error) {
    throw ended.signal.aborted ? ended.signal.reason : error;
  }
  throw program.failure('ended its health stream');
}

async function showModels(show: Show, client: InferenceClient, signal: AbortSignal): Promise<void> {
  const { models } = await client.getServerInfo({ signal });
  show.rows(
    models.map(({ role, model, loadSeconds, memoryBytes }) => [
      role,
      model?.id ?? '',
      `loaded in ${formatMs(loadSeconds * 1000)}`,
      memoryBytes > 0 ? formatMegabytes(memoryBytes) : '',
    ]),
  );
  const total = models.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
  show.item(
    'total',
    `${formatCount(models.length, 'model')}, one process per model, ${formatMegabytes(total)} of memory`,
  );
}
