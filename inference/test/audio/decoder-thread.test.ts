import { execFileSync, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { DecoderThread } from '../../src/media/audio/decoder-thread.js';
import { readProcessWork } from '../../src/process/work-reading.js';
import { fixture } from './read-audio.js';

describe('A decoder thread', () => {
  it('that is starved of CPU does not fail', async function () {
    if (process.platform !== 'linux') return this.skip();
    this.timeout(60_000);
    const before = new Set(readdirSync('/proc/self/task'));
    const thread = new DecoderThread(600);
    const [cpu = '0'] = /^Cpus_allowed_list:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.slice(1) ?? [];
    const rival = spawn('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' });
    try {
      const content = await fixture('speech-48k-stereo.vorbis.ogg');
      await thread.open({ format: 'ogg', contentBytes: content.length });
      execFileSync('taskset', ['-c', '-p', cpu, String(rival.pid)]);
      for (const tid of readdirSync('/proc/self/task').filter((name) => !before.has(name))) {
        execFileSync('taskset', ['-c', '-p', cpu, tid]);
        execFileSync('chrt', ['-i', '-p', '0', tid]);
      }
      const pulled = thread.pull({ input: content, ended: true, maxSamples: 32_000 });
      const used = async () => (await readProcessWork(rival.pid ?? 0))?.cpuMs ?? 0;
      // Longer than the work limit of one answer.
      for (const end = (await used()) + 1000; (await used()) < end; );
      rival.kill('SIGKILL');
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
});
