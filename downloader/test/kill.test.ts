import { join } from 'node:path';
import { expect } from 'chai';
import { auditRepository } from './support/audit.js';
import { startChild } from './support/child.js';
import { runHere, testEnvironment } from './support/program.js';
import { DECODER, ENCODER, speechRepository } from './support/repositories.js';
import { seededRandom } from './support/seeded.js';
import { useHub } from './support/use-hub.js';

/** Kills on a volume before its download is completed and a new one is used. */
const KILLS_A_VOLUME = 5;
const ENCODER_BYTES = 3_000_000;
const SMALL_BYTES = 100_000;
const WHOLE_BYTES = ENCODER_BYTES + 400_000 + SMALL_BYTES;
const WANTED = ['config.json', 'tokenizer.json', ENCODER, DECODER];

/** Kills in all, spread evenly over a run; HEIMDEX_TEST_KILLS=100 for a long run. */
const KILLS = Number(process.env.HEIMDEX_TEST_KILLS ?? 20);
/** Coprime to the number of kills, so that early and late kills alternate on a volume. */
const STRIDE = 7;
const CONNECTIONS = 3;
const PART_BYTES = 256 * 1024;

/** A kill comes after a seeded share of the time that a whole run takes: from before the first request to after the publish. */
describe('a download that is killed at any moment', function () {
  this.timeout(240_000);
  const { dir, hub } = useHub({ repositories: [speechRepository({ encoderBytes: ENCODER_BYTES })], scope: 'suite' });
  let repo: string;
  let env: NodeJS.ProcessEnv;

  function newVolume(name: string): void {
    const path = join(dir.path, name);
    repo = join(path, 'cache', 'models--acme--speech');
    env = testEnvironment(path, hub.url, {
      DOWNLOAD_PIECE_MIB: '0.25',
      DOWNLOAD_FILES: '2',
      DOWNLOAD_CONNECTIONS: '3',
    });
  }

  /** Starts a download and kills it after a share of what a whole one takes. */
  async function killAfter(share: number): Promise<'killed' | 'ended'> {
    hub.requests.clear();
    const child = startChild([], env);
    const startedMs = performance.now();
    const limitMs = share * wholeRunMs;
    const timer = setInterval(() => {
      if (performance.now() - startedMs >= limitMs) child.process.kill('SIGKILL');
    }, 1);
    const { status, stderr } = await child.ended;
    clearInterval(timer);
    if (status === null) return 'killed';
    expect(status, stderr).to.equal(0);
    // On a machine that was busier before, a run takes less time than the first, and would often end before its kill.
    wholeRunMs = Math.min(wholeRunMs, performance.now() - startedMs);
    return 'ended';
  }

  let wholeRunMs = 0;

  async function measureWholeRun(): Promise<void> {
    newVolume('measure');
    const startedMs = performance.now();
    const { status, stderr } = await startChild([], env).ended;
    expect(status, stderr).to.equal(0);
    wholeRunMs = performance.now() - startedMs;
  }

  async function killMany(kills: number, seed: number): Promise<number> {
    await measureWholeRun();
    const random = seededRandom(seed);
    let killed = 0;
    let attempts = 0;
    for (let volume = 0; killed < kills; volume += 1) {
      newVolume(`volume-${volume}`);
      let networkBytes = 0;
      let rounds = 0;
      for (let round = 0; round < KILLS_A_VOLUME && killed < kills; round += 1) {
        const how = await killAfter(0.15 + (((attempts * STRIDE) % kills) + random()) / kills);
        attempts += 1;
        networkBytes += hub.requests.bytesSent;
        expect(await auditRepository(repo, WANTED), `seed ${seed}, after kill ${killed}`).to.deep.equal([]);
        if (how === 'ended') break;
        killed += 1;
        rounds += 1;
      }
      hub.requests.clear();
      const last = await runHere([], env);
      expect(last.status, last.stderr).to.equal(0);
      networkBytes += hub.requests.bytesSent;
      expect((await runHere(['verify'], env)).status).to.equal(0);
      // A kill costs at most the part that each connection was at, and the small files and lists that come again.
      const atMost = WHOLE_BYTES + rounds * (CONNECTIONS * PART_BYTES + SMALL_BYTES);
      expect(networkBytes, `seed ${seed}, volume ${volume}`).to.be.lessThan(atMost);
    }
    return killed;
  }

  it('leaves nothing half-written under a final name, and the next run ends well', async () => {
    expect(await killMany(KILLS, 1)).to.equal(KILLS);
  });
});
