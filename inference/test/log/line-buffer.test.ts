import { expect } from 'chai';
import { bufferLines } from '../../src/line-buffer.js';

const turn = () => new Promise((resolve) => setImmediate(resolve));

function makeBuffer(gatherMs = 1e6) {
  const writes: string[] = [];
  const clock = { nowMs: 0 };
  let wrote = () => {};
  const target = {
    write: (text: string) => {
      writes.push(text);
      wrote();
    },
  };
  const buffer = bufferLines(target, gatherMs, () => clock.nowMs);
  const written = () =>
    new Promise<void>((resolve) => {
      wrote = resolve;
    });
  return { buffer, writes, clock, written };
}

describe('bufferLines', () => {
  it('writes the lines of one turn together', async () => {
    const { buffer, writes } = makeBuffer();
    for (const line of ['a', 'b']) buffer.write(line);
    expect(writes).to.deep.equal([]);
    await turn();
    expect(writes).to.deep.equal(['ab']);
  });

  it('buffers lines that follow soon after a write', async () => {
    const { buffer, writes, clock, written } = makeBuffer(5);
    buffer.write('first');
    await turn();
    const next = written();
    for (const line of ['a', 'b']) {
      buffer.write(line);
      await Promise.resolve();
    }
    expect(writes).to.deep.equal(['first']);
    await next;
    expect(writes).to.deep.equal(['first', 'ab']);
    clock.nowMs = 100;
    buffer.write('later');
    await turn();
    expect(writes.at(-1)).to.equal('later');
  });

  it('loses nothing at exit, and writes nothing twice', async () => {
    const { buffer, writes } = makeBuffer();
    buffer.write('a');
    await turn();
    buffer.write('b');
    await turn();
    expect(writes).to.deep.equal(['a']);
    buffer.flush();
    buffer.flush();
    expect(writes).to.deep.equal(['a', 'b']);
  });

  it('buffers at most the capacity of a pipe', () => {
    const { buffer, writes } = makeBuffer();
    for (let line = 0; line < 3; line += 1) buffer.write('x'.repeat(30_000));
    expect(writes.map(({ length }) => length)).to.deep.equal([90_000]);
  });
});
