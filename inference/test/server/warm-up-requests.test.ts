import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import pino from 'pino';
import { duplexPair } from '../../src/duplex-pair.js';
import { sendWarmUpRequests } from '../../src/warm-up-requests.js';
import { pocketEnv, pocketVolume } from '../fixtures/pocket.js';
import { startProgram } from '../fixtures/server-process.js';
import type { Volume } from '../fixtures/volume.js';

const LIMITS = {
  maxMessageBytes: 1024 * 1024,
  maxBatchItems: 16,
  maxAudioSeconds: 60,
  maxImagePixels: 1_000_000,
  maxQueue: 16,
  maxQueueMs: 1000,
  streamIdleMs: 1000,
};

describe('warm-up requests', () => {
  it('are answered, and write nothing to the log', async () => {
    const lines: string[] = [];
    const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) });
    expect(await sendWarmUpRequests(LIMITS, log, new AbortController().signal)).to.be.greaterThan(0);
    expect(lines).to.deep.equal([]);
  });

  it('are not sent when the program is to end', async () => {
    expect(await sendWarmUpRequests(LIMITS, pino({ level: 'silent' }), AbortSignal.abort())).to.equal(0);
  });

  describe('of the program', () => {
    let volume: Volume;

    before(async () => {
      volume = await pocketVolume();
    });

    after(() => volume.remove());

    it('are not counted as calls or connections', async () => {
      const server = await startProgram(pocketEnv(volume));
      try {
        const metrics = await (await fetch(`${server.url}/metrics`)).text();
        expect(metrics).not.to.include('heimdex_requests_total{');
        expect(metrics).to.include('heimdex_items_total{model="siglip"} 0');
        expect(server.log.filter(({ msg }) => msg === 'call')).to.deep.equal([]);
      } finally {
        await server.stop();
      }
    });
  });
});

describe('a pair of streams in memory', () => {
  it('passes on what is written to either end, and its end', async () => {
    const [one, other] = duplexPair();
    one.end('there');
    other.end('back');
    expect(await Promise.all([text(other), text(one)])).to.deep.equal(['there', 'back']);
  });

  it('makes the writer wait until the other end is read', async () => {
    const [one, other] = duplexPair();
    const bytes = Buffer.alloc(one.writableHighWaterMark * 2);
    expect(one.write(bytes)).to.equal(false);
    other.resume();
    await once(one, 'drain');
  });
});
