import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Health, InferenceService, HealthCheckResponse_ServingStatus as Serving } from '@heimdex/gen';
import { expect } from 'chai';
import { readProcessWork } from '../../src/process/work-reading.js';
import { outcomes, textRequest } from '../fixtures/embed-calls.js';
import { FAILS_TO_LOAD, LOADS_AT_ONCE, LOADS_IN_STEPS } from '../fixtures/fake-model.js';
import { type FakeServer, startFakeServer } from '../fixtures/fake-server.js';
import { useFakeServer } from '../fixtures/use-fake-server.js';

const { embedText } = InferenceService.method;

/** Waits until the server's state passes the test. */
async function stateWhere(fake: FakeServer, test: () => boolean): Promise<void> {
  while (!test()) await once(fake.server.state.changes, 'change');
}

describe('a worker with the default settings', () => {
  const fake = useFakeServer();

  it('that fails one item fails only that item', async () => {
    expect(await outcomes(fake, 'good', 'item error', 'also good')).to.deep.equal([4, 3, 9]);
  });

  it('that fails a whole run returns an id, and the reason is logged', async () => {
    const error = await fake.client.failure(embedText, textRequest('defect'));
    expect(error).to.include({ code: 'INTERNAL', reason: 'INTERNAL' });
    expect(error.message).not.to.include('secret');
    const line = fake.log.find(({ msg }) => msg === 'defect');
    expect(error.message).to.include(String(line?.errorId));
    expect(JSON.stringify(line)).to.include('a secret of the model');
    expect(await outcomes(fake, 'next')).to.deep.equal([4]);
  });

  it('notices that the caller cancelled', async () => {
    const error = await fake.client.failure(embedText, textRequest('until cancelled'), { timeoutMs: 100 });
    expect(error.code).to.equal('DEADLINE_EXCEEDED');
    // Otherwise the worker would never become idle again.
    expect(await outcomes(fake, 'next')).to.deep.equal([4]);
    expect(fake.pids()).to.have.length(1);
  });

  it('that dies does not affect other items of the batch, which are retried', async () => {
    // One call, and therefore one batch with the text that kills.
    expect(await outcomes(fake, 'one', 'kill', 'three')).to.deep.equal([3, 14, 5]);
  });
});

describe('a worker', () => {
  let fake: FakeServer;
  const start = async (env: Readonly<Record<string, string>> = {}) => {
    fake = await startFakeServer(env);
    await fake.server.warm;
  };
  afterEach(() => fake.close());

  it('of which run after run fails, as after an error of its GPU, is replaced', async () => {
    await start();
    for (let run = 0; run < 5; run += 1) {
      expect((await fake.client.failure(embedText, textRequest('defect'))).reason).to.equal('INTERNAL');
    }
    await fake.loaded(2);
    const lost = fake.log.find(({ msg }) => msg === 'worker lost, restarting');
    expect(lost?.reason).to.match(/^5 runs in a row failed, the last with: Error: a secret of the model/);
    expect(await outcomes(fake, 'next')).to.deep.equal([4]);
  });

  it('that dies on its inputs is replaced each time, health reports it, the log has the signal, and the server goes on', async () => {
    await start({ MAX_RESTARTS: '1' });
    const watch = fake.client.serverStream(Health.method.watch, { service: '' });
    const seen: Serving[] = [];
    watch.on('data', ({ status }: { status: Serving }) => seen.push(status));
    watch.on('error', () => {});
    for (const [index, [way, ending]] of (
      [
        ['abort', 'SIGABRT'],
        ['kill', 'SIGKILL, as when the system or the container runs out of memory'],
        ['bus error', 'SIGBUS, as when a file that it has mapped was cut, or its disk or volume can no longer be read'],
      ] as const
    ).entries()) {
      const error = await fake.client.failure(embedText, textRequest(way));
      expect(error, way).to.include({ code: 'UNAVAILABLE', reason: 'WORKER_LOST_TWICE' });
      // No retry delay is sent.
      expect(error.retryMs).to.equal(undefined);
      await stateWhere(fake, () => fake.server.state.report().status === 'healthy');
      expect(await outcomes(fake, 'next')).to.deep.equal([4]);
      // Each text ran twice, so two workers were lost.
      expect(new Set(fake.pids()).size).to.equal(2 * index + 3);
      const reasons = fake.log.flatMap(({ msg, reason }) =>
        msg === 'worker lost, restarting' ? [String(reason)] : [],
      );
      expect(reasons).to.have.length(2 * index + 2);
      for (const reason of reasons.slice(-2))
        expect(reason.endsWith(`the process ended with ${ending}`), reason).to.equal(true);
    }
    watch.cancel();
    expect(seen.slice(0, 3)).to.deep.equal([Serving.SERVING, Serving.NOT_SERVING, Serving.SERVING]);
  });

  it('that uses no CPU time is killed long before the run timeout', async () => {
    await start({ HEARTBEAT_SECONDS: '0.1' });
    const error = await fake.client.failure(embedText, textRequest('hang'));
    expect(error.reason).to.equal('WORKER_LOST_TWICE');
    expect(fake.log.find(({ reason }) => String(reason).includes('no CPU time'))).to.not.equal(undefined);
  });

  it('that hangs, or works without progress, is replaced after the run timeout', async () => {
    await start({ RUN_TIMEOUT_SECONDS: '0.3' });
    for (const way of ['hang', 'spin for ever']) {
      const error = await fake.client.failure(embedText, textRequest(way));
      expect(error.reason, way).to.equal('WORKER_LOST_TWICE');
      await stateWhere(fake, () => fake.server.state.report().status === 'healthy');
    }
    const reasons = fake.log.flatMap(({ msg, reason }) => (msg === 'worker lost, restarting' ? [String(reason)] : []));
    expect(reasons).to.have.length(4);
    for (const reason of reasons) expect(reason).to.include('no progress in a run');
    expect(await outcomes(fake, 'next')).to.deep.equal([4]);
  });

  it('that is starved of CPU is not killed', async function () {
    await start({ HEARTBEAT_SECONDS: '0.05', RUN_TIMEOUT_SECONDS: '0.3', WORKERS_TEXT: '1' });
    const [pid = 0] = fake.pids();
    // On one CPU with a process of higher priority, the worker gets almost no CPU time.
    const [cpu = '0'] = /^Cpus_allowed_list:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.slice(1) ?? [];
    try {
      execFileSync('taskset', ['-a', '-c', '-p', cpu, String(pid)]);
      execFileSync('chrt', ['-a', '-i', '-p', '0', String(pid)]);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      console.log('      skipped: taskset and chrt are not installed');
      return this.skip();
    }
    const rival = spawn('taskset', ['-c', cpu, 'sh', '-c', 'while :; do :; done'], { stdio: 'ignore' });
    try {
      const answer = outcomes(fake, 'spin');
      // Three times the run timeout, and eighteen samples.
      for (let used = 0; used < 900; used = readProcessWork(rival.pid)?.cpuMs ?? 0) await delay(10);
      rival.kill('SIGKILL');
      expect(await answer).to.deep.equal([4]);
      expect(fake.pids()).to.deep.equal([pid]);
    } finally {
      rival.kill('SIGKILL');
    }
  });

  it('that is stopped by a signal is replaced, idle or not', async () => {
    await start({ HEARTBEAT_SECONDS: '0.1' });
    const [pid = 0] = fake.pids();
    process.kill(pid, 'SIGSTOP');
    await fake.loaded(2);
    expect(await outcomes(fake, 'next')).to.deep.equal([4]);
    expect(fake.log.find(({ reason }) => String(reason).includes('stopped'))).to.not.equal(undefined);
  });

  it('that exceeds its memory limit is replaced', async () => {
    await start({ HEARTBEAT_SECONDS: '0.05', WORKER_MEMORY_LIMIT_GB: '0.2' });
    const error = await fake.client.failure(embedText, textRequest('hog'));
    expect(error.reason).to.equal('WORKER_LOST_TWICE');
    expect(fake.log.find(({ reason }) => String(reason).includes('memory limit exceeded'))).to.not.equal(undefined);
  });

  it('that makes progress is not killed', async () => {
    await start({ RUN_TIMEOUT_SECONDS: '0.15', HEARTBEAT_SECONDS: '0.05' });
    expect(await outcomes(fake, 'slow')).to.deep.equal([4]);
    expect(fake.pids()).to.have.length(1);
  });

  it('ends when the server closes', async () => {
    await start({ WORKERS_TEXT: '2' });
    const pids = await fake.loaded(2);
    await fake.server.close();
    for (const pid of pids) expect(() => process.kill(pid, 0)).to.throw(/ESRCH/);
  });
});

describe('a model', () => {
  it('that does not load stops the server, with the reason', async () => {
    const fake = await startFakeServer({}, FAILS_TO_LOAD);
    try {
      const error = await fake.failed;
      expect(error.reason).to.equal('worker');
      expect(error.message).to.include('sentence-transformers').and.include('the graph has no output');
    } finally {
      await fake.close();
    }
  });

  it('that makes progress while it loads is not ended, however long it takes', async () => {
    const fake = await startFakeServer({ LOAD_TIMEOUT_SECONDS: '1', MAX_RESTARTS: '1' }, LOADS_IN_STEPS);
    try {
      await Promise.race([fake.server.warm, fake.failed.then((error) => Promise.reject(error))]);
      expect(fake.pids()).to.have.length(1);
    } finally {
      await fake.close();
    }
  });

  it('that makes no progress while it loads is ended', async () => {
    const fake = await startFakeServer({ LOAD_TIMEOUT_SECONDS: '1', MAX_RESTARTS: '1' }, LOADS_AT_ONCE);
    try {
      expect((await fake.failed).message).to.include('no progress in loading for 1000 ms');
    } finally {
      await fake.close();
    }
  });

  it('that is still loading returns UNAVAILABLE, and health has the reason', async () => {
    const fake = await startFakeServer({}, LOADS_IN_STEPS);
    try {
      const error = await fake.client.failure(embedText, textRequest('early'));
      expect(error).to.include({ code: 'UNAVAILABLE', reason: 'STARTING' });
      expect(error.retryMs).to.be.greaterThan(0);
      const { status } = await fake.client.value(Health.method.check, { service: '' });
      expect(status).to.equal(Serving.NOT_SERVING);
      const response = await fetch(`${fake.url}/health`);
      expect(response.status).to.equal(503);
      expect(await response.json()).to.include({ status: 'starting', reason: 'still loading: sentence-transformers' });
    } finally {
      await fake.close();
    }
  });
});
