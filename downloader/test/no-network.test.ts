import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { expect } from 'chai';
import { NetworkState } from '../src/transfer/network-state.js';
import { parseRateLimit, retryAfterOf } from '../src/transfer/rate-limit.js';
import { lastLine, runHere, testEnvironment } from './support/program.js';
import { useHub } from './support/use-hub.js';
import { temporaryDir } from './support/volume.js';

/** An address at which nobody listens. */
async function nobody(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return `http://127.0.0.1:${port}`;
}

describe('no network', () => {
  const dir = temporaryDir();

  // A pause of a minute, a hundred times: the test ends within its time only where that is not waited for.
  const patient = { DOWNLOAD_ATTEMPTS: '100', DOWNLOAD_PAUSE_SECONDS: '60' };

  it('is reported at once if every connection is refused: exit 5', async () => {
    const endpoint = await nobody();
    const result = await runHere([], testEnvironment(dir.path, endpoint, patient));
    expect(result.status, result.stderr).to.equal(5);
    expect(lastLine(result)).to.include({ code: 'UNREACHABLE' });
    expect(lastLine(result).msg).to.include('ECONNREFUSED').and.include('HF_ENDPOINT');
  });

  it('is reported at once if no name resolves: exit 5', async () => {
    const result = await runHere([], testEnvironment(dir.path, 'http://nowhere.invalid', patient));
    expect(result.status, result.stderr).to.equal(5);
    expect(lastLine(result).msg).to.match(/ENOTFOUND|EAI_AGAIN/);
  });

  it('is an outage, to be waited for as configured, once anybody has answered', () => {
    const network = new NetworkState();
    expect(network.leftMs(0)).to.equal(Number.POSITIVE_INFINITY);
    network.onRequest(1000);
    network.onRequest(2000);
    expect(network.leftMs(1000)).to.equal(2000);
    expect(network.leftMs(2500)).to.equal(500);
    expect(network.leftMs(9000)).to.equal(0);
    network.onAnswer();
    expect(network.leftMs(9000)).to.equal(Number.POSITIVE_INFINITY);
  });
});

describe('a limit of requests', () => {
  const { dir, hub } = useHub();

  it('is obeyed as the hub sends it', async () => {
    const headers = { RateLimit: '"api";r=0;t=1', 'RateLimit-Policy': '"fixed window";"api";q=500;w=300' };
    hub.faults.add({ on: { kind: 'info' }, do: { type: 'status', status: 429, headers }, times: 1 });
    const result = await runHere([], testEnvironment(dir.path, hub.url));
    expect(result.status, result.stderr).to.equal(0);
    const retry = result.log.find(({ event }) => event === 'retry');
    expect(Number(retry?.pauseMs)).to.be.within(1000, 1100);
    expect(retry?.msg).to.match(/; retrying in [12] s$/);
  });

  const cases: [string, string | undefined, number | undefined][] = [
    ['one limit', '"api";r=0;t=30', 30_000],
    ['blanks', ' "api" ; r = 0 ; t = 30 ', 30_000],
    ['other parameters', '"api";pk=:abc=:;r=0;t=7', 7000],
    ['several limits, one used up', '"hour";r=10;t=3000, "minute";r=0;t=30', 30_000],
    ['several limits, two used up', '"hour";r=0;t=3000, "minute";r=0;t=30', 3_000_000],
    ['a limit that is not used up', '"api";r=5;t=30', undefined],
    ['the form of older drafts', 'limit=100, remaining=0, reset=50', 50_000],
    ['no word of what remains', '"api";t=12', 12_000],
    ['no time', '"api";r=0', undefined],
    ['something else', 'soon', undefined],
    ['a time below nothing', '"api";r=0;t=-5', undefined],
    ['nothing', undefined, undefined],
  ];
  for (const [what, value, expected] of cases) {
    it(`is read from RateLimit with ${what}`, () => expect(parseRateLimit(value)).to.equal(expected));
  }

  it('is read from Retry-After first, and from the oldest headers last', () => {
    const now = Date.parse('2026-10-21T07:28:00Z');
    const read = (headers: Record<string, string>) => retryAfterOf((name) => headers[name], now);
    expect(read({ 'retry-after': '5', ratelimit: '"api";r=0;t=30' })).to.equal(5000);
    expect(read({ ratelimit: '"api";r=0;t=30', 'ratelimit-reset': '9' })).to.equal(30_000);
    expect(read({ 'ratelimit-reset': '9' })).to.equal(9000);
    expect(read({ 'x-ratelimit-reset': String(now / 1000 + 60) })).to.equal(60_000);
    expect(read({ 'x-ratelimit-reset': '-1' })).to.equal(undefined);
    expect(read({})).to.equal(undefined);
  });

  it('that ends at a time of day is timed by the clock of the server, and by this machine if the server names no time', () => {
    const at = Date.parse('2026-10-21T07:28:30Z');
    for (const end of [{ 'retry-after': new Date(at).toUTCString() }, { 'ratelimit-reset': String(at / 1000) }]) {
      for (const [date, expected] of [
        [new Date(at - 20_000).toUTCString(), 20_000],
        ['today', 1000],
      ] as const) {
        const headers: Record<string, string> = { ...end, date };
        expect(retryAfterOf((name) => headers[name], at - 1000)).to.equal(expected);
      }
    }
  });
});
