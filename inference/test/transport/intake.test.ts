import { expect } from 'chai';
import { Intake } from '../../src/transport/calls/intake.js';

const CHUNK = 64 * 1024;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A source that always has another chunk. */
class Endless {
  paused = false;

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }
}

describe('request intake', () => {
  it('is taken in by so much a turn, however many there are', async () => {
    const intake = new Intake(4 * CHUNK);
    const sources = Array.from({ length: 20 }, () => new Endless());
    const delivered = new Map(sources.map((source) => [source, 0]));
    for (let turns = 0; turns < 50; turns += 1) {
      let bytes = 0;
      for (const source of sources) {
        // As the event loop does: each one that may delivers all it has, up to 32 chunks.
        for (let chunks = 0; chunks < 32 && !source.paused; chunks += 1) {
          bytes += CHUNK;
          delivered.set(source, (delivered.get(source) ?? 0) + 1);
          intake.take(CHUNK, source);
        }
      }
      // In the first turn nobody has been told to wait yet.
      if (turns > 0) expect(bytes).to.be.at.most(8 * CHUNK);
      await turn();
    }
    // Nobody is forgotten: each has had its turn every fifth time.
    expect(Math.min(...delivered.values())).to.be.at.least(9);
  });

  it('waits for nobody while there is little of it', async () => {
    const intake = new Intake(4 * CHUNK);
    const source = new Endless();
    for (let turns = 0; turns < 10; turns += 1) {
      intake.take(3 * CHUNK, source);
      expect(source.paused).to.equal(false);
      await turn();
    }
  });
});
