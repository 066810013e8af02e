import { once } from 'node:events';
import { Readable } from 'node:stream';
import { expect } from 'chai';
import { readOutputLines } from '../../src/runner/output-lines.js';

/** The lines of output that arrives in these chunks. */
async function linesOf(chunks: readonly Buffer[]): Promise<string[]> {
  const lines: string[] = [];
  const output = Readable.from(chunks, { objectMode: false });
  readOutputLines(output, (line) => void lines.push(line));
  await once(output, 'close');
  return lines;
}

describe("a worker's output", () => {
  it('is read by lines, whatever their ends and wherever the chunks end', async () => {
    const bytes = Buffer.from('one\r\ntwo äöü\n\n\rthree\rfour');
    const single = Array.from(bytes, (byte) => Buffer.of(byte));
    for (const chunks of [[bytes], single]) {
      expect(await linesOf(chunks)).to.deep.equal(['one', 'two äöü', 'three', 'four']);
    }
  });

  it('has no colours in the log, which the runtime gives its warnings', async () => {
    const coloured = Buffer.from(
      '\u001b[0;93m2026-11-28 01:25:07 [W:onnxruntime] Unknown CPU vendor\u001b[m\n\u001b[m\n',
    );
    expect(await linesOf([coloured])).to.deep.equal(['2026-11-28 01:25:07 [W:onnxruntime] Unknown CPU vendor']);
  });

  it('is kept in part where a line does not end, and the lines after it are whole', async () => {
    const endless = Array.from({ length: 4 }, () => Buffer.alloc(64 * 1024, 'x'));
    const [first, ...others] = await linesOf([...endless, Buffer.from('\nnext')]);
    expect([first?.length, first?.slice(-4), ...others]).to.deep.equal([64 * 1024 + 3, 'x...', 'next']);
  });
});
