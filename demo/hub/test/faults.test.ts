import { expect } from 'chai';
import type { Fault, Hub } from '../src/index.js';
import { ask, askUntil, jsonOf } from './support/request.js';
import { GRAPH, TINY, useHub } from './support/use-hub.js';

const FILE = '/me/tiny/resolve/main/onnx/model.onnx';
const BYTES = { kind: 'bytes', file: 'model.onnx' } as const;

describe('faults', () => {
  const start = useHub();
  const withFaults = (...faults: Fault[]) => start({ repositories: [TINY], faults });
  const linkOf = async (hub: Hub) => (await ask(hub.url + FILE)).headers.location ?? '';
  const fetch = async (hub: Hub, range?: string) =>
    ask(await linkOf(hub), { headers: range === undefined ? {} : { range } });

  it('responds with a given status, headers and body', async () => {
    const action = { type: 'status', status: 429, headers: { 'retry-after': '7' }, body: 'slow down' } as const;
    const hub = await withFaults({ on: { kind: 'tree' }, do: action });
    const answer = await ask(`${hub.url}/api/models/me/tiny/tree/main`);
    expect([answer.status, answer.headers['retry-after'], answer.body.toString()]).to.deep.equal([
      429,
      '7',
      'slow down',
    ]);
    expect((await ask(`${hub.url}/api/models/me/tiny`)).status).to.equal(200);
  });

  it('affects a limited number of requests after an offset', async () => {
    const hub = await withFaults({ on: { kind: 'info' }, do: { type: 'status', status: 503 }, after: 1, times: 2 });
    const statuses: number[] = [];
    for (let count = 0; count < 5; count += 1) statuses.push((await ask(`${hub.url}/api/models/me/tiny`)).status);
    expect(statuses).to.deep.equal([200, 503, 503, 200, 200]);
  });

  it('can be added and removed while the hub runs', async () => {
    const hub = await start();
    const remove = hub.faults.add({ on: {}, do: { type: 'status', status: 500 } });
    expect((await ask(`${hub.url}/api/models/me/tiny`)).status).to.equal(500);
    remove();
    expect((await ask(`${hub.url}/api/models/me/tiny`)).status).to.equal(200);
  });

  it('closes the connection at a byte of the file', async () => {
    const hub = await withFaults({ on: BYTES, do: { type: 'drop', atByte: 300 }, times: 1 });
    const cut = await fetch(hub);
    expect([cut.status, cut.headers['content-length'], cut.body.length, cut.complete]).to.deep.equal([
      200,
      '1000',
      300,
      false,
    ]);
    expect((await fetch(hub)).body.length).to.equal(1000);
  });

  it('counts byte faults only for responses that contain the byte', async () => {
    const hub = await withFaults({ on: BYTES, do: { type: 'drop', atByte: 300 }, times: 1 });
    expect((await fetch(hub, 'bytes=301-')).complete).to.equal(true);
    expect((await fetch(hub, 'bytes=0-299')).complete).to.equal(true);
    expect((await fetch(hub, 'bytes=200-')).body.length).to.equal(100);
    expect((await fetch(hub, 'bytes=300-')).complete).to.equal(true);
  });

  it('stalls at a byte with the connection open', async () => {
    const hub = await withFaults({ on: BYTES, do: { type: 'stall', atByte: 400 } });
    const stalled = await askUntil(await linkOf(hub), 400);
    expect([stalled.status, stalled.body.length]).to.deep.equal([200, 400]);
  });

  it('flips a bit of a byte, independent of the range', async () => {
    const hub = await withFaults({ on: BYTES, do: { type: 'flip', atByte: 500 } });
    for (const [range, first] of [
      [undefined, 0],
      ['bytes=450-', 450],
    ] as const) {
      const { body } = await fetch(hub, range);
      const wrong = [...body].flatMap((byte, index) => (byte === GRAPH[first + index] ? [] : [first + index]));
      expect(wrong).to.deep.equal([500]);
    }
  });

  it('ends early with a matching length', async () => {
    const hub = await withFaults({ on: BYTES, do: { type: 'truncate', missingBytes: 10 } });
    const short = await fetch(hub);
    expect([short.headers['content-length'], short.body.length, short.complete]).to.deep.equal(['990', 990, true]);
  });

  it('reports a wrong size in the file list and headers', async () => {
    const hub = await withFaults({ on: { file: 'model.onnx' }, do: { type: 'lie-size', deltaBytes: 5 } });
    expect((await ask(hub.url + FILE)).headers['x-linked-size']).to.equal('1005');
    const bytes = await fetch(hub);
    expect([bytes.headers['content-length'], bytes.body.length, bytes.complete]).to.deep.equal(['1005', 1000, false]);
    hub.faults.clear();
    hub.faults.add({ on: { kind: 'tree' }, do: { type: 'lie-size', deltaBytes: -1 } });
    const list = jsonOf(await ask(`${hub.url}/api/models/me/tiny/tree/main?recursive=1`)) as { size: number }[];
    expect(list.at(-1)).to.include({ size: 999 });
  });

  it('ignores Range and sends the complete file', async () => {
    const hub = await withFaults({ on: BYTES, do: { type: 'ignore-range' } });
    const answer = await fetch(hub, 'bytes=500-');
    expect([answer.status, answer.body.length]).to.deep.equal([200, 1000]);
  });

  it('expires a signed URL', async () => {
    const hub = await withFaults({ on: { server: 'cdn' }, do: { type: 'expire' }, times: 1 });
    expect([(await fetch(hub)).status, (await fetch(hub)).status]).to.deep.equal([403, 200]);
  });

  it('sends slowly but steadily', async () => {
    const hub = await withFaults({ on: BYTES, do: { type: 'slow', partBytes: 100, pauseMs: 1 } });
    expect((await fetch(hub)).body.equals(GRAPH)).to.equal(true);
  });

  it('redirects to another URL first', async () => {
    const hub = await withFaults({
      on: { kind: 'resolve' },
      do: { type: 'redirect', location: 'http://x.example/', status: 301 },
    });
    const answer = await ask(hub.url + FILE);
    expect([answer.status, answer.headers.location]).to.deep.equal([301, 'http://x.example/']);
  });

  it('closes the connection, or never responds', async () => {
    const hub = await withFaults({ on: { kind: 'info' }, do: { type: 'refuse' } });
    const refused = await ask(`${hub.url}/api/models/me/tiny`).catch((error: NodeJS.ErrnoException) => error.code);
    expect(refused).to.equal('ECONNRESET');
    hub.faults.clear();
    hub.faults.add({ on: { kind: 'info' }, do: { type: 'silence' } });
    const stop = new AbortController();
    const arrived = hub.requests.next({ kind: 'info' });
    const silent = ask(`${hub.url}/api/models/me/tiny`, { signal: stop.signal }).catch((error: Error) => error.name);
    const record = await arrived;
    stop.abort();
    expect(await silent).to.equal('AbortError');
    expect(record.status).to.equal(0);
  });

  it('delays the response', async () => {
    let done = () => {};
    const until = new Promise<void>((resolve) => {
      done = resolve;
    });
    const hub = await withFaults({ on: { kind: 'info' }, do: { type: 'delay', until } });
    const arrived = hub.requests.next({ kind: 'info' });
    const answer = ask(`${hub.url}/api/models/me/tiny`);
    expect((await arrived).status).to.equal(0);
    done();
    expect((await answer).status).to.equal(200);
  });

  it('combines several faults', async () => {
    const hub = await withFaults(
      { on: BYTES, do: { type: 'ignore-range' } },
      { on: BYTES, do: { type: 'flip', atByte: 1 } },
      { on: BYTES, do: { type: 'drop', atByte: 2 } },
    );
    const answer = await fetch(hub, 'bytes=500-');
    expect([answer.status, [...answer.body], answer.complete]).to.deep.equal([200, [0, 0], false]);
  });
});
