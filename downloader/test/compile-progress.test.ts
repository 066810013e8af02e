import { PRECISIONS } from '@heimdex/cache';
import { expect } from 'chai';
import { estimateCompile } from '../src/compile/estimate.js';
import { openLog } from '../src/log.js';
import { CompileProgress } from '../src/progress/compile-progress.js';
import { openScreen } from '../src/progress/screen.js';

const STEPS = [
  { role: 'encoder', phase: 'float32', share: 0, graph: 1, graphs: 2 },
  { role: 'encoder', phase: 'float32', share: 0.5, graph: 1, graphs: 2 },
  { role: 'encoder', phase: 'build', share: 0, graph: 1, graphs: 2 },
  { role: 'encoder', phase: 'compare', share: 0, graph: 1, graphs: 2 },
  { role: 'decoder', phase: 'compare', share: 0.9, graph: 2, graphs: 2 },
] as const;

describe('the progress of a compile', () => {
  const shown = (isTTY: boolean) => {
    const written: string[] = [];
    const screen = openScreen({ isTTY, columns: 80, write: (text: string) => written.push(text) > 0 });
    const progress = new CompileProgress('acme/bert', screen, openLog({ level: 'info', format: 'auto' }, screen));
    for (const step of STEPS) progress.onStep(step);
    progress.stop();
    return written;
  };

  it('is a bar on a terminal that advances and disappears at the end', () => {
    const written = shown(true);
    const percents = written.flatMap((text) => /(\d+)%/.exec(text)?.[1] ?? []).map(Number);
    expect(percents).to.deep.equal([0, 12, 25, 42, 99]);
    expect(written[0]).to.include('encoder (1 of 2): float32 answers');
    expect(written.at(-1)).to.match(/\[0J$/);
  });

  it('is a line for each phase elsewhere', () => {
    const lines = shown(false).map((line) => JSON.parse(line));
    expect(lines.map(({ phase }) => phase)).to.deep.equal(['float32', 'build', 'compare']);
    expect(lines[0]).to.include({ event: 'compile-step', model: 'acme/bert', role: 'encoder' });
  });
});

describe('the estimate of a compile', () => {
  it('has room for Whisper tiny, which grows the most: half of it is a token table that is written twice', () => {
    const measured = { int8: 82_380_213, fp16: 158_144_913, fp32: 231_003_781 };
    for (const precision of PRECISIONS) {
      const bytes = measured[precision];
      const { diskBytes } = estimateCompile(151_061_611, precision, false);
      expect(diskBytes, precision).to.be.within(bytes, bytes * 1.05);
    }
  });
});
