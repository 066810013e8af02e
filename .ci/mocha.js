/**
 * Runs the tests of all workspaces in parallel, `npm run mocha`; arguments go to mocha. The files that take longest start first, so that
 * all jobs end at about the same time. There is one job more than CPUs, because tests wait for the processes that they start.
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, constants } from 'node:os';
import { join } from 'node:path';

const { workspaces } = JSON.parse(readFileSync('package.json', 'utf8'));

/** The files that take longest, in this order. */
const SLOW = [
  'inference/test/server/whisper',
  'inference/test/whisper/whisper',
  'inference/test/server/moonshine',
  'deploy/test/pages-on-a-server',
  'inference/test/server/speech',
  'downloader/test/compile-faults',
  'inference/test/checkpoints/whisper-base',
  'inference/test/server/faults',
  'inference/test/optimized/optimized-volume',
  'demo/test/demo',
  'inference/test/server/abuse',
  'inference/test/audio/videos',
  'inference/test/playground/playground',
  'downloader/test/python',
  'downloader/test/faults',
  'downloader/test/volume',
  'inference/test/server/fine-tunes',
  'inference/test/server/signals',
  'downloader/test/kill',
  'inference/test/audio/ffmpeg',
  'downloader/test/removed-checkpoints',
  'inference/test/audio/hostile',
].map((name) => name.replace('/test/', '/dist/test/').concat('.test.js'));

function testsOf(workspace) {
  const dir = join(workspace, 'dist/test');
  // A test that was deleted leaves its compiled form.
  const names = readdirSync(dir, { recursive: true }).filter(
    (name) => name.endsWith('.test.js') && existsSync(join(workspace, 'test', name.replace(/js$/, 'ts'))),
  );
  return names.sort().map((name) => join(dir, name));
}

const missing = SLOW.filter((file) => !existsSync(file));
if (missing.length > 0) throw new Error(`.ci/mocha.js names files that do not exist: ${missing.join(', ')}`);
const files = new Set([
  ...SLOW,
  ...workspaces.filter((workspace) => existsSync(join(workspace, 'test'))).flatMap(testsOf),
]);
const jobs = Math.min(4, availableParallelism() + 1);

const mocha = createRequire(import.meta.url).resolve('mocha/bin/mocha.js');
const args = [mocha, '--parallel', '--jobs', String(jobs), ...process.argv.slice(2), ...files];
// A process group of its own: a signal ends the workers of mocha and the servers of the tests as well, which mocha leaves behind.
const child = spawn(process.execPath, args, { stdio: 'inherit', detached: true });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.kill(-child.pid, signal));
child.once('exit', (status, signal) => process.exit(status ?? 128 + constants.signals[signal]));
