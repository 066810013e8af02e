import { execFileSync, spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { GIB } from '@heimdex/common';
import { expect } from 'chai';
import { DecoderThread } from '../../src/media/audio/decoder-thread.js';
import { DecoderThreads, maxThreadsWithin } from '../../src/media/audio/decoder-threads.js';
import type { Priority } from '../../src/priority.js';
import { readProcessWork } from '../../src/process/work-reading.js';
import { errorOf } from '../support/rejection.js';
import { fixture } from './read-audio.js';

describe('A decoder thread', () => {
  it('that is starved of CPU does not fail, from its start', async function () {
    if (process.platform !== 'linux') return this.skip();
    const content = await fixture('speech-48k-stereo.vorbis.ogg');
    const decoded = (thread: DecoderThread) =>
      thread
        .open({ format: 'ogg', contentBytes: content.length })
        .then(() => thread.pull({ input: content, ended: true, maxSamples: 32_000 }));
    const begun = process.cpuUsage();
    const measured = new DecoderThread();
    await decoded(measured);
    await measured.end();
    const { user, system } = process.cpuUsage(begun);
    // A slow machine needs more for an answer.
    const workMs = (2 * (user + system)) / 1_000;
    const [cpu = '0'] = /^Cpus_allowed_list:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.slice(1) ?? [];
    const rival = spawn('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' });
    const before = new Set(readdirSync('/proc/self/task'));
    const thread = new DecoderThread(workMs);
    const tids = readdirSync('/proc/self/task').filter((name) => !before.has(name));
    try {
      for (const tid of [String(rival.pid), ...tids]) execFileSync('taskset', ['-c', '-p', cpu, tid]);
      for (const tid of tids) execFileSync('chrt', ['-i', '-p', '0', tid]);
      const pulled = decoded(thread);
      const used = () => readProcessWork(rival.pid)?.cpuMs ?? 0;
      // Longer than the work limit of one answer.
      for (const end = used() + workMs + 100; used() < end; ) await delay(10);
      rival.kill('SIGKILL');
      // On a busy machine it would get no CPU for minutes.
      for (const tid of tids) execFileSync('chrt', ['-o', '-p', '0', tid]);
      expect((await pulled).samples.length).to.be.greaterThan(0);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      console.log('      skipped: taskset and chrt are not installed');
      this.skip();
    } finally {
      rival.kill('SIGKILL');
      await thread.end();
    }
  });

  it('that is ended while it starts leaves no file open', async function () {
    if (process.platform !== 'linux') return this.skip();
    const before = openScripts();
    for (let ended = 0; ended < 3; ended += 1) {
      const thread = new DecoderThread();
      let hasStarted = false;
      const opened = thread.open({ format: 'ogg', contentBytes: undefined }).then(
        () => (hasStarted = true),
        () => {},
      );
      // Its program's own files, after those of Node.js. Node.js 24 reads one at a time, and none may be seen before the thread has started.
      while (!hasStarted && openScripts().length === before.length) await turn();
      await thread.end();
      await opened;
    }
    expect(openScripts()).to.deep.equal(before);
  });
});

describe('Decoder threads', () => {
  it('are limited: an audio file waits until another is closed, or its call ends', async () => {
    const threads = new DecoderThreads(1);
    const content = await fixture('speech-48k-stereo.opus');
    const open = (signal = new AbortController().signal) =>
      threads.open({ format: 'ogg', contentBytes: content.length }, signal);
    const first = await open();
    const call = new AbortController();
    const ended = open(call.signal).catch((reason: unknown) => reason);
    let isOpen = false;
    const waiting = open().then((host) => {
      isOpen = true;
      return host;
    });
    call.abort('the call has ended');
    expect(await ended).to.equal('the call has ended');
    // Uses the only thread.
    expect((await first.pull({ input: content, ended: true, maxSamples: 8000 })).samples.length).to.equal(8000);
    expect(isOpen).to.equal(false);
    await first.close();
    await first.close();
    const second = await waiting;
    expect((await second.pull({ input: content, ended: true, maxSamples: 8000 })).samples.length).to.equal(8000);
    await second.close();
  });

  it('are limited by the memory: streams of a few KB each must not take all of it', async () => {
    expect([0.1, 1, 4, 64].map((gib) => maxThreadsWithin(gib * GIB))).to.deep.equal([8, 25, 102, 256]);
    const threads = new DecoderThreads();
    threads.limit(1, 1);
    const open = (signal = new AbortController().signal) =>
      threads.open({ format: 'ogg', contentBytes: undefined }, signal);
    const first = await open();
    const call = new AbortController();
    const second = open(call.signal).catch((reason: unknown) => reason);
    call.abort('waited');
    expect(await second).to.equal('waited');
    await first.close();
  });

  it('are not all held by bulk calls, which wait behind interactive ones', async () => {
    const threads = new DecoderThreads(2);
    const opened: string[] = [];
    const open = async (name: string, priority: Priority, signal = new AbortController().signal) => {
      const host = await threads.open({ format: 'ogg', contentBytes: undefined }, signal, priority);
      opened.push(name);
      return host;
    };
    const bulk = await open('bulk', 'bulk');
    const call = new AbortController();
    const waiting = open('ended', 'bulk', call.signal).catch((reason: unknown) => reason);
    const interactive = await open('interactive', 'interactive');
    const nextInteractive = open('next interactive', 'interactive');
    await bulk.close();
    const last = await nextInteractive;
    // A bulk call that ends while it waits for a thread leaves the turn of bulk calls to the next.
    call.abort('the call has ended');
    expect(await waiting).to.equal('the call has ended');
    const nextBulk = open('next bulk', 'bulk');
    await last.close();
    await (await nextBulk).close();
    await interactive.close();
    expect(opened).to.deep.equal(['bulk', 'interactive', 'next interactive', 'next bulk']);
  });

  it('that are closed while they load a library leave no file open', async function () {
    if (process.platform !== 'linux') return this.skip();
    const before = openScripts();
    const threads = new DecoderThreads(3);
    const content = await fixture('speech-48k-stereo.opus');
    const close = async () => {
      const host = await threads.open({ format: 'ogg', contentBytes: undefined }, new AbortController().signal);
      let isLoading = true;
      const loaded = () => {
        isLoading = false;
      };
      const pulled = host.pull({ input: content, ended: true, maxSamples: 8000 }).then(loaded, loaded);
      while (isLoading && openScripts().length === before.length) await turn();
      await host.close();
      await pulled;
    };
    await Promise.all(Array.from({ length: 3 }, close));
    expect(openScripts()).to.deep.equal(before);
  });

  it('are not started for calls that end while those of others start', async () => {
    let started = 0;
    const start = () => {
      started += 1;
      return new DecoderThread();
    };
    const threads = new DecoderThreads(256, start, 1);
    const calls = Array.from({ length: 200 }, () => new AbortController());
    const opening = calls.map(({ signal }) =>
      threads.open({ format: 'ogg', contentBytes: undefined }, signal).then(
        (host) => host.close(),
        (reason: unknown) => reason,
      ),
    );
    await turn();
    for (const call of calls) call.abort('the call has ended');
    const ended = await Promise.all(opening);
    expect(started).to.equal(2);
    expect(ended.filter((reason) => reason === 'the call has ended')).to.have.length(198);
  });

  it('that cannot be started keep no permit', async () => {
    let isFull = true;
    const threads = new DecoderThreads(1, () => {
      if (isFull) throw new Error('no thread is left');
      return new DecoderThread();
    });
    const open = () => threads.open({ format: 'ogg', contentBytes: undefined }, new AbortController().signal);
    expect(String(await open().catch((error: unknown) => error))).to.equal('Error: no thread is left');
    isFull = false;
    await (await open()).close();
  });

  it('decode the next audio file although one before it had a warning or was refused', async () => {
    let started = 0;
    const threads = new DecoderThreads(1, () => {
      started += 1;
      return new DecoderThread();
    });
    const mp3 = await fixture('speech-44k-stereo.mp3');
    const decode = async (format: 'mp3' | 'wav' | 'mp4', content: Uint8Array, audioTrack = 0) => {
      const choice = { format, contentBytes: content.length, audioTrack };
      const host = await threads.open(choice, new AbortController().signal);
      try {
        return await host.pull({ input: content, ended: true, maxSamples: 1_000_000 });
      } finally {
        await host.close();
      }
    };
    const { done, warnings } = await decode('mp3', mp3.subarray(0, mp3.length / 2));
    expect({ done, warnings: warnings.length }).to.deep.equal({ done: true, warnings: 1 });
    expect((await errorOf(decode('wav', Buffer.alloc(500, 'RIFF0000WAVEfmt ')))).code).to.equal('AUDIO_UNREADABLE');
    expect((await errorOf(decode('mp4', Buffer.alloc(500, '\0\0\0\x10ftypisom')))).code).to.equal('AUDIO_UNREADABLE');
    expect((await errorOf(decode('mp3', mp3, 1))).code).to.equal('INVALID_ARGUMENT');
    expect(await decode('mp3', mp3)).to.deep.include({ done: true, warnings: [] });
    expect(started).to.equal(1);
  });

  it('decode the next audio file in the same thread once its source is closed, which its end began', async () => {
    let started = 0;
    const threads = new DecoderThreads(2, () => {
      started += 1;
      return new DecoderThread();
    });
    const content = await fixture('speech-16k-mono.mp3');
    for (let file = 0; file < 2; file += 1) {
      const host = await threads.open({ format: 'mp3', contentBytes: content.length }, new AbortController().signal);
      await host.pull({ input: content, ended: true, maxSamples: 1_000_000 });
      void host.close();
      await host.close();
    }
    expect(started).to.equal(1);
  });
});

/** The scripts that this process has open. */
function openScripts(): readonly string[] {
  return readdirSync('/proc/self/fd')
    .map((name) => targetOf(`/proc/self/fd/${name}`))
    .filter((path) => path.endsWith('.js'));
}

/** What a link names; empty if it is gone, as that of the directory that was just read. */
function targetOf(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}
