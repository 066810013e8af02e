import { expect } from 'chai';
import { cachedReading, processMemoryBytes } from '../../src/runner/memory.js';

describe('the memory of a process', () => {
  it('is read once for many callers', async () => {
    let readings = 0;
    const read = cachedReading(() => {
      readings += 1;
      return processMemoryBytes(process.pid);
    });
    const values = await Promise.all(Array.from({ length: 100 }, read));
    expect(values[0]).to.be.greaterThan(0);
    expect(new Set(values).size).to.equal(1);
    expect(readings).to.equal(1);
  });
});
