import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { PROJECT_DIR } from '../src/options.js';

const MAIN = fileURLToPath(new URL('../src/main.js', import.meta.url));

describe('the demo', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'heimdex-demo-test-'));
  });
  afterEach(() => rm(dir, { recursive: true }));

  /** Runs the demo in its own process group; `watch` receives the output so far. */
  async function run(args: readonly string[], watch: (output: string, pid: number) => void = () => undefined) {
    const child = spawn(process.execPath, [MAIN, ...args], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, TMPDIR: dir, HF_HOME: '/nowhere', ASR_MODEL: 'nonsense', MODELS_DIR: '/nowhere' },
    });
    const pid = child.pid ?? 0;
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        watch(output, pid);
      });
    }
    const [exitCode] = await once(child, 'close');
    return { exitCode, output };
  }

  /** Returns the running processes with this test's directory in their environment (Linux only). */
  async function survivors(): Promise<string[]> {
    const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
    const found = await Promise.all(
      pids.map(async (pid) =>
        (await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')).includes(dir) ? [pid] : [],
      ),
    );
    return found.flat();
  }

  it('runs completely, ignores the environment, and leaves only the images', async () => {
    const out = join(dir, 'drawn');
    const { exitCode, output } = await run(['--out', out]);
    expect(exitCode, output).to.equal(0);
    for (const expected of [
      'nothing: 15 files checked',
      'hub requests     0',
      'all 18 words',
      'labels rank their image first',
      '"status":"healthy"',
      'the volume is removed, every process has ended',
    ]) {
      expect(output).to.contain(expected);
    }
    // The README's image of a terminal: its headings and its labels.
    const image = await readFile(join(PROJECT_DIR, 'docs/demo.svg'), 'utf8');
    const words = [...image.matchAll(/<text x="(?:36\.8|45\.2)"[^>]*>([^<{]+)</g)].map(([, word]) => word ?? '');
    expect(words.length).to.be.above(40);
    for (const word of words) expect(output).to.contain(word.replaceAll('&quot;', '"'));
    expect(await readdir(out)).to.have.length(4);
    expect(await readdir(dir)).to.deep.equal(['drawn']);
    expect(await survivors()).to.deep.equal([]);
  });

  for (const [when, line] of [
    ['while it downloads', '$ npx heimdex-downloader'],
    ['while the server starts', 'HF_HUB_OFFLINE=1'],
    ['while the server works', 'Speech to text'],
  ] as const) {
    it(`cleans up on Ctrl-C ${when}`, async () => {
      let sent = false;
      const { exitCode, output } = await run(['--out', join(dir, 'drawn')], (seen, demo) => {
        if (sent || !seen.includes(line)) return;
        sent = true;
        process.kill(-demo, 'SIGINT'); // As a terminal does, to the whole process group.
      });
      expect(exitCode, output).to.equal(130);
      expect(await readdir(dir)).to.deep.equal([]);
      expect(await survivors()).to.deep.equal([]);
    });
  }

  it('rejects unknown options', async () => {
    const { exitCode, output } = await run(['--louder']);
    expect(exitCode).to.equal(2);
    expect(output).to.contain('Usage: npm run demo');
  });
});
