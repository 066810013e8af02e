import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { InferenceService, TextModel } from '@heimdex/gen';
import { expect } from 'chai';
import { EXIT_CODES } from '../../src/exit-codes.js';
import { GrpcClient } from '../fixtures/grpc-client.js';
import { NO_FACES, pocketServer } from '../fixtures/pocket.js';
import type { ServedVolume } from '../fixtures/serve-volume.js';

const { embedText, getServerInfo } = InferenceService.method;
const FAKE_PROGRAM = fileURLToPath(new URL('../fixtures/fake-program.js', import.meta.url));
const MANY = Array.from({ length: 100 }, (_, index) => `an image of the number ${index}`);

/** Process ids of the program's workers, from its log. */
function workersOf({ server }: ServedVolume): number[] {
  return server.log.flatMap(({ pid }) => (typeof pid === 'number' ? [pid] : []));
}

/** Resolves when the process has ended, possibly as a zombie. Otherwise kills it and rejects. */
async function gone(pid: number): Promise<void> {
  const giveUp = AbortSignal.timeout(30_000);
  while (!giveUp.aborted) {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
    if (stat === undefined || stat.split(') ')[1]?.startsWith('Z') === true) return;
    await delay(10);
  }
  process.kill(pid, 'SIGKILL');
  throw new Error(`process ${pid} outlived the server`);
}

describe('signals', () => {
  let pocket: ServedVolume;
  let client: GrpcClient;
  beforeEach(async () => {
    pocket = await pocketServer(NO_FACES);
    client = new GrpcClient(pocket.server.address);
  });
  afterEach(async () => {
    client.close();
    await pocket.stop();
  });

  it('SIGTERM finishes the calls in progress and exits with 0, including its workers', async () => {
    const running = client.value(embedText, { texts: MANY });
    await client.value(getServerInfo, {});
    const workers = workersOf(pocket);
    expect(await pocket.server.stop('SIGTERM')).to.equal(EXIT_CODES.ok);
    expect((await running).results.every(({ result }) => result.case === 'embedding')).to.equal(true);
    expect(workers).to.have.length(1);
    await Promise.all(workers.map(gone));
  });

  it('SIGINT begins to shut down as well, and a second one exits immediately', async () => {
    const calls = Array.from({ length: 8 }, () => client.unary(embedText, { texts: MANY }));
    await client.value(getServerInfo, {});
    const closed = once(pocket.server.child, 'close');
    pocket.server.child.kill('SIGINT');
    await pocket.server.logged('shutting down');
    pocket.server.child.kill('SIGINT');
    expect((await closed)[0]).to.equal(EXIT_CODES.interrupted);
    const results = await Promise.all(calls);
    expect(results.some(({ ok }) => !ok)).to.equal(true);
    await Promise.all(workersOf(pocket).map(gone));
  });
});

describe('signals without a loaded model', () => {
  it('SIGKILL leaves no worker running, neither an idle one nor one that hangs in a run', async () => {
    const program = spawn(process.execPath, [FAKE_PROGRAM], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [text] = await once(program.stdout, 'data');
    const { address, pids } = JSON.parse(String(text)) as { address: string; pids: number[] };
    const caller = new GrpcClient(address);
    const running = caller.unary(embedText, { texts: ['hang'], model: TextModel.TEXT });
    await caller.value(getServerInfo, {});
    program.kill('SIGKILL');
    expect((await running).ok).to.equal(false);
    caller.close();
    expect(pids).to.have.length(2);
    await Promise.all(pids.map(gone));
  });

  it('SIGTERM stops a server that is still loading', async () => {
    const cold = await pocketServer(NO_FACES, { cold: true });
    try {
      expect(await cold.server.stop('SIGTERM')).to.equal(EXIT_CODES.ok);
    } finally {
      await cold.stop();
    }
  });
});
