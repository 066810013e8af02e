import { expect } from 'chai';
import { resolveUrl } from '../src/transfer/hub.js';
import { NetworkState } from '../src/transfer/network-state.js';
import { cutIntoParts, RangeSet } from '../src/transfer/ranges.js';
import { parseRetryAfter } from '../src/transfer/rate-limit.js';
import { DEFAULT_RETRY, retryDelayMs, TransientError, withRetries } from '../src/transfer/retry.js';
import { seededRandom } from './support/seeded.js';

describe('ranges', () => {
  it('join when they touch or overlap, and stay apart else', () => {
    const set = new RangeSet([
      { start: 10, end: 20 },
      { start: 30, end: 40 },
      { start: 20, end: 25 },
      { start: 5, end: 12 },
      { start: 3, end: 5 },
      { start: 50, end: 50 },
    ]);
    expect(set.ranges).to.deep.equal([
      { start: 3, end: 25 },
      { start: 30, end: 40 },
    ]);
    expect(set.sizeBytes).to.equal(32);
  });

  it('know what is missing before, between and after them', () => {
    const set = new RangeSet([
      { start: 10, end: 20 },
      { start: 90, end: 200 },
    ]);
    expect(set.missing(100)).to.deep.equal([
      { start: 0, end: 10 },
      { start: 20, end: 90 },
    ]);
    expect(new RangeSet().missing(0)).to.deep.equal([]);
  });

  it('agree with a set of single positions, for any order of additions', () => {
    const random = seededRandom(7);
    for (let round = 0; round < 50; round += 1) {
      const set = new RangeSet();
      const positions = new Set<number>();
      for (let index = 0; index < 12; index += 1) {
        const start = Math.floor(random() * 60);
        const end = start + Math.floor(random() * 10);
        set.add({ start, end });
        for (let at = start; at < end; at += 1) positions.add(at);
      }
      const expanded = set.ranges.flatMap(({ start, end }) =>
        Array.from({ length: end - start }, (_, at) => start + at),
      );
      expect(expanded).to.deep.equal([...positions].sort((a, b) => a - b));
      const missing = set
        .missing(70)
        .flatMap(({ start, end }) => Array.from({ length: end - start }, (_, at) => start + at));
      expect(missing.length + expanded.length).to.equal(70);
    }
  });

  it('return where the run at a position ends', () => {
    const set = new RangeSet([{ start: 0, end: 4 }]);
    expect([set.endOfRunAt(0), set.endOfRunAt(3), set.endOfRunAt(4)]).to.deep.equal([4, 4, 4]);
  });

  it('are split into parts that cover them and do not exceed the limit', () => {
    expect(
      cutIntoParts(
        [
          { start: 5, end: 12 },
          { start: 20, end: 21 },
        ],
        3,
      ),
    ).to.deep.equal([
      { start: 5, end: 8 },
      { start: 8, end: 11 },
      { start: 11, end: 12 },
      { start: 20, end: 21 },
    ]);
  });
});

describe('retries', () => {
  const policy = { ...DEFAULT_RETRY, initialDelayMs: 100, maxDelayMs: 1_000, random: () => 0.5 };
  const signal = new AbortController().signal;
  const quick = { ...policy, maxAttempts: 3, initialDelayMs: 0 };
  const failure = () => new TransientError(new Error('for now'));

  it('pause longer and longer, up to a limit', () => {
    expect([1, 2, 3, 4, 5, 6].map((failures) => retryDelayMs(policy, failures))).to.deep.equal([
      75, 150, 300, 600, 750, 750,
    ]);
  });

  it('spread out between half and all of the pause', () => {
    expect(retryDelayMs({ ...policy, random: () => 0 }, 1)).to.equal(50);
    expect(retryDelayMs({ ...policy, random: () => 0.999 }, 1)).to.be.closeTo(100, 0.1);
  });

  it("obey a server's Retry-After, within reason", () => {
    expect(retryDelayMs(policy, 1, 5_000)).to.equal(5_050);
    expect(retryDelayMs(policy, 1, 10_000_000)).to.equal(policy.maxRetryAfterMs + 50);
  });

  it('read Retry-After as seconds and as a date', () => {
    const now = Date.parse('Wed, 21 Oct 2026 07:28:00 GMT');
    expect(parseRetryAfter('120', now)).to.equal(120_000);
    expect(parseRetryAfter('Wed, 21 Oct 2026 07:28:30 GMT', now)).to.equal(30_000);
    expect(parseRetryAfter('Wed, 21 Oct 2026 07:00:00 GMT', now)).to.equal(0);
    expect(parseRetryAfter('soon', now)).to.equal(undefined);
    expect(parseRetryAfter(undefined, now)).to.equal(undefined);
  });

  it('end with the real error once the attempts are used up', async () => {
    let attempts = 0;
    const work = async () => {
      attempts += 1;
      throw failure();
    };
    const error = await withRetries(work, quick, signal).catch((reason: unknown) => reason);
    expect([attempts, (error as Error).message]).to.deep.equal([3, 'for now']);
  });

  it('end at once if no host was reached for two seconds from the first request, and not once any was', async () => {
    const attemptsWith = async (network: NetworkState) => {
      let attempts = 0;
      network.onRequest(performance.now() - 2_000);
      const work = async () => {
        attempts += 1;
        throw new TransientError(new Error('no such host'), undefined, 'unreached');
      };
      await withRetries(work, { ...quick, network }, signal).catch(() => {});
      return attempts;
    };
    expect(await attemptsWith(new NetworkState())).to.equal(1);
    const reached = new NetworkState();
    reached.onAnswer();
    expect(await attemptsWith(reached)).to.equal(3);
  });

  it('go on after refusals of a busy server for as long as other connections receive bytes from it', async () => {
    const network = new NetworkState();
    const attemptsWith = async (kind?: 'busy') => {
      let attempts = 0;
      const work = async () => {
        attempts += 1;
        if (attempts <= 10) network.onProgress();
        throw new TransientError(new Error('for now'), undefined, kind);
      };
      await withRetries(work, { ...quick, network }, signal).catch(() => {});
      return attempts;
    };
    expect([await attemptsWith('busy'), await attemptsWith()]).to.deep.equal([11, 3]);
  });

  it('restart the count after progress', async () => {
    let attempts = 0;
    const result = await withRetries(
      async ({ progressed }) => {
        attempts += 1;
        if (attempts === 3) progressed();
        if (attempts < 5) throw failure();
        return attempts;
      },
      quick,
      signal,
    );
    expect(result).to.equal(5);
  });

  it('do not try again what will not pass', async () => {
    let attempts = 0;
    const work = async () => {
      attempts += 1;
      throw new Error('for good');
    };
    await withRetries(work, quick, signal).catch(() => {});
    expect(attempts).to.equal(1);
  });

  it('pause before the next attempt, and end at once when they are stopped meanwhile', async () => {
    const stop = new AbortController();
    let attempts = 0;
    const waiting = withRetries(
      async () => {
        attempts += 1;
        throw failure();
      },
      { ...policy, initialDelayMs: 3_600_000, maxDelayMs: 3_600_000 },
      stop.signal,
      () => setImmediate(() => stop.abort()),
    ).catch((reason: unknown) => reason);
    expect(((await waiting) as Error).name).to.equal('AbortError');
    expect(attempts).to.equal(1);
  });
});

describe('the address of a file on the hub', () => {
  it('is as huggingface_hub writes it, also for a branch of any name', () => {
    const origin = { endpoint: new URL('https://hub.example.com/mirror'), token: undefined };
    expect(resolveUrl(origin, 'a/b', 'feature/a#b', 'onnx/x y#1.onnx').href).to.equal(
      'https://hub.example.com/mirror/a/b/resolve/feature%2Fa%23b/onnx/x%20y%231.onnx',
    );
  });
});
