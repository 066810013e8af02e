import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'chai';

const garbage = new URL('../../src/process/garbage.js', import.meta.url).href;

/** Fills the heap of a process of its own, leaves one object in a hundred, and returns the heap's bytes before and after. */
const PROGRAM = `
const { compactHeap } = await import(${JSON.stringify(garbage)});
let all = Array.from({ length: 200_000 }, (_, index) => ({ index, text: 'text ' + index }));
globalThis.left = all.filter(({ index }) => index % 100 === 0);
all = undefined;
const before = process.memoryUsage().heapTotal;
await compactHeap();
process.stdout.write(JSON.stringify({ before, after: process.memoryUsage().heapTotal }));
`;

describe('compactHeap', () => {
  it('gives most of a heap back in which one object of a hundred is left', async () => {
    const run = promisify(execFile);
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', PROGRAM]);
    const { before, after } = JSON.parse(stdout);
    expect(after).to.be.below(before / 2);
  });
});

describe('the memory of array buffers', () => {
  it('is read, or 0 without a free file descriptor', function () {
    if (process.platform !== 'linux') this.skip();
    const program = `import { arrayBufferBytes } from ${JSON.stringify(garbage)}; import { openSync } from 'node:fs';
      const before = arrayBufferBytes();
      try { for (;;) openSync('/dev/null'); } catch {}
      console.log(before > 0, arrayBufferBytes());`;
    const limited = 'ulimit -n 64; exec "$0" --input-type=module -e "$1"';
    expect(execFileSync('sh', ['-c', limited, process.execPath, program], { encoding: 'utf8' })).to.equal('true 0\n');
  });
});
