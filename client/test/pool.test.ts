import { create } from '@bufbuild/protobuf';
import { credentials, type ServerWritableStream, type sendUnaryData, status } from '@grpc/grpc-js';
import {
  type GetServerInfoResponse,
  GetServerInfoResponseSchema,
  Health,
  type HealthCheckRequest,
  type HealthCheckResponse,
  HealthCheckResponseSchema,
  InferenceService,
  HealthCheckResponse_ServingStatus as Serving,
} from '@heimdex/gen';
import { expect } from 'chai';
import { createInferenceClient, type InferenceClient, type InferenceClientOptions } from '../src/index.js';
import { parseAddress } from '../src/transport/address.js';
import { Endpoint } from '../src/transport/endpoint.js';
import { HealthWatch } from '../src/transport/health-watch.js';
import { EndpointPool, type PoolParts } from '../src/transport/pool.js';
import { closedAfterEach } from './support/closed-after-each.js';
import { failureOf } from './support/failure-of.js';
import {
  answering,
  type FakeService,
  type FakeServiceOptions,
  failure,
  startFakeService,
} from './support/fake-service.js';
import { startSilentServer } from './support/silent-server.js';

/** A server that responds with its name and reports a configurable health. */
interface Replica extends FakeService {
  setHealth(status: Serving): void;
  refuse: boolean;
  readonly calls: { count: number };
}

describe('several servers', () => {
  const open = closedAfterEach();

  async function replica(name: string, options: FakeServiceOptions = {}): Promise<Replica> {
    const watchers = new Set<ServerWritableStream<HealthCheckRequest, HealthCheckResponse>>();
    const state = { status: Serving.SERVING, refuse: false };
    const calls = { count: 0 };
    const answer = answering(GetServerInfoResponseSchema, { version: name });
    const getServerInfo = (call: unknown, reply: sendUnaryData<GetServerInfoResponse>) => {
      calls.count += 1;
      if (state.refuse) reply(failure(status.UNAVAILABLE, 'draining', { reason: 'DRAINING' }));
      else answer(call, reply);
    };
    const watch = (call: ServerWritableStream<HealthCheckRequest, HealthCheckResponse>) => {
      watchers.add(call);
      call.on('cancelled', () => watchers.delete(call));
      call.write(create(HealthCheckResponseSchema, { status: state.status }));
    };
    const service = open(
      await startFakeService(
        [
          [InferenceService, { getServerInfo }],
          [Health, { watch }],
        ],
        options,
      ),
    );
    return {
      ...service,
      calls,
      setHealth: (health) => {
        state.status = health;
        for (const call of watchers) call.write(create(HealthCheckResponseSchema, { status: health }));
      },
      get refuse() {
        return state.refuse;
      },
      set refuse(refuse) {
        state.refuse = refuse;
      },
    };
  }

  const connect = (options: InferenceClientOptions) =>
    open(createInferenceClient({ retry: { initialDelayMs: 1 }, ...options }));

  const poolOf = (names: readonly string[], lookup: PoolParts['lookup'], now: () => number) =>
    open(
      new EndpointPool({
        addresses: names.map(parseAddress),
        connect: (target) => new Endpoint(target, credentials.createInsecure(), {}),
        lookup,
        watch: (endpoint) => new HealthWatch(endpoint),
        now,
      }),
    );

  it('are used round robin', async () => {
    const servers = [await replica('a'), await replica('b'), await replica('c')];
    const client = connect({ addresses: servers.map(({ address }) => address) });
    await until(() => client.servers().every(({ health }) => health === 'serving'));
    expect((await names(client, 6)).sort()).to.deep.equal(['a', 'a', 'b', 'b', 'c', 'c']);
  });

  it('are skipped while not serving, and used again afterwards', async () => {
    const a = await replica('a');
    const b = await replica('b');
    const client = connect({ addresses: [a.address, b.address] });
    await until(() => client.servers().every(({ health }) => health === 'serving'));
    b.setHealth(Serving.NOT_SERVING);
    await until(() => client.servers().some(({ health }) => health === 'not-serving'));
    expect(await names(client, 4)).to.deep.equal(['a', 'a', 'a', 'a']);
    b.setHealth(Serving.SERVING);
    await until(() => client.servers().every(({ health }) => health === 'serving'));
    expect((await names(client, 4)).sort()).to.deep.equal(['a', 'a', 'b', 'b']);
  });

  it('replace an unreachable one immediately', async () => {
    const gone = await replica('gone');
    gone.close();
    const a = await replica('a');
    const client = connect({ addresses: [gone.address, a.address], retry: { initialDelayMs: 3_600_000 } });
    expect(await names(client, 3)).to.deep.equal(['a', 'a', 'a']);
    await until(() => client.servers()[0]?.health === 'unreachable');
  });

  it('replace one that accepts connections and says nothing, long before the time to connect is up', async () => {
    const silent = open(await startSilentServer());
    const a = await replica('a');
    const client = connect({ addresses: [silent.address, a.address], connectTimeoutMs: 3_600_000 });
    expect(await names(client, 3)).to.deep.equal(['a', 'a', 'a']);
  });

  it('replace one that refuses, which is then skipped for a while', async () => {
    const a = await replica('a');
    const b = await replica('b');
    a.refuse = true;
    const client = connect({ addresses: [a.address, b.address], retry: { initialDelayMs: 3_600_000 } });
    expect(await names(client, 3)).to.deep.equal(['b', 'b', 'b']);
    expect(a.calls.count).to.be.at.most(1);
  });

  it('replace one that refuses, for any number of calls at a time', async () => {
    const a = await replica('a');
    const b = await replica('b');
    const client = connect({ addresses: [a.address, b.address] });
    await names(client, 2);
    a.refuse = true;
    const before = a.calls.count;
    await Promise.all(Array.from({ length: 40 }, () => client.getServerInfo()));
    expect(a.calls.count - before).to.be.above(10);
  });

  it('are used again after they return', async () => {
    const a = await replica('a');
    const b = await replica('b');
    const client = connect({ addresses: [a.address, b.address] });
    await until(() => client.servers().every(({ health }) => health === 'serving'));
    b.close();
    await until(() => client.servers()[1]?.health === 'unreachable');
    await replica('b', { port: b.port });
    await until(() => client.servers()[1]?.health === 'serving');
    expect((await names(client, 2)).sort()).to.deep.equal(['a', 'b']);
  });

  it('count as serving without a health service', async () => {
    const getServerInfo = answering(GetServerInfoResponseSchema, { version: 'plain' });
    const plain = open(await startFakeService([[InferenceService, { getServerInfo }]]));
    const a = await replica('a');
    const client = connect({ addresses: [plain.address, a.address] });
    await until(() => client.servers().every(({ health }) => health === 'serving'));
    expect((await names(client, 2)).sort()).to.deep.equal(['a', 'plain']);
  });

  it('behind one DNS name each get their own connection', async () => {
    const a = await replica('a', { host: '127.0.0.1' });
    await replica('b', { host: '127.0.0.2', port: a.port });
    const lookup = async () => ['127.0.0.1', '127.0.0.2'];
    const client = connect({ address: `dns:///inference.test:${a.port}`, lookup });
    expect((await names(client, 2)).sort()).to.deep.equal(['a', 'b']);
  });

  it('behind a DNS name are refreshed after 30 s, or sooner after a failure', async () => {
    let found = ['10.0.0.1'];
    let nowMs = 1_000_000;
    const lookedUp: string[] = [];
    const lookup = async (host: string) => {
      lookedUp.push(host);
      return found;
    };
    const pool = poolOf(['dns:///inference.test:9'], lookup, () => nowMs);
    const addresses = () => pool.endpoints.map(({ address }) => address);
    const first = await pool.pick();
    expect(addresses()).to.deep.equal(['10.0.0.1:9']);

    found = ['10.0.0.2'];
    nowMs += 29_999;
    await pool.pick();
    expect(lookedUp).to.have.length(1);
    nowMs += 1;
    await pool.pick();
    await until(() => addresses()[0] === '10.0.0.2:9');

    found = ['10.0.0.3'];
    pool.recordFailure(first);
    expect(lookedUp).to.have.length(2);
    nowMs += 1_000;
    await until(() => {
      pool.recordFailure(first);
      return addresses()[0] === '10.0.0.3:9';
    });
    expect(addresses()).to.have.length(1);
  });

  it('behind a name that does not resolve fail with the resolver error', async () => {
    const lookup = async () => {
      throw new Error('getaddrinfo ENOTFOUND inference.test');
    };
    const client = connect({ address: 'dns:///inference.test', lookup, retry: { maxAttempts: 1 } });
    const error = await failureOf(client.getServerInfo());
    expect(error).to.include({ code: 'UNAVAILABLE', reason: 'UNREACHABLE', address: 'inference.test' });
    expect(error.message).to.equal('inference.test cannot be reached: getaddrinfo ENOTFOUND inference.test');
  });

  it('behind a name without an address fail with that', async () => {
    const client = connect({ address: 'dns:///inference.test', lookup: async () => [], retry: { maxAttempts: 1 } });
    const error = await failureOf(client.getServerInfo());
    expect(error).to.include({ code: 'UNAVAILABLE', reason: 'UNREACHABLE', address: 'inference.test' });
    expect(error.message).to.equal('inference.test cannot be reached: the name has no address');
  });

  it('behind several names ignore unresolvable ones, and are kept when their own stops resolving', async () => {
    const known = new Map([['one.test', '10.0.0.1']]);
    let nowMs = 1_000_000;
    const lookup = async (host: string) => {
      const ip = known.get(host);
      if (ip === undefined) throw new Error(`getaddrinfo ENOTFOUND ${host}`);
      return [ip];
    };
    const pool = poolOf(['dns:///two.test:9', 'dns:///one.test:9'], lookup, () => nowMs);
    const addresses = () => pool.endpoints.map(({ address }) => address).sort();
    expect((await pool.pick()).address).to.equal('10.0.0.1:9');
    known.delete('one.test');
    known.set('two.test', '10.0.0.2');
    nowMs += 30_000;
    await pool.pick();
    await until(() => addresses().length > 1);
    expect(addresses()).to.deep.equal(['10.0.0.1:9', '10.0.0.2:9']);
  });

  it('behind a name whose resolver hangs do not block the call', async () => {
    const lookup = () => new Promise<string[]>(() => undefined);
    const client = connect({
      address: 'dns:///inference.test',
      lookup,
      connectTimeoutMs: 20,
      retry: { maxAttempts: 1 },
    });
    expect(await failureOf(client.getServerInfo())).to.include({ code: 'UNAVAILABLE', reason: 'UNREACHABLE' });
  });

  it('that do not complete a connection time out', async () => {
    const { address } = open(await startSilentServer());
    const client = connect({ address, connectTimeoutMs: 30, retry: { maxAttempts: 1 } });
    const error = await failureOf(client.getServerInfo());
    expect(error.code).to.be.oneOf(['UNAVAILABLE', 'DEADLINE_EXCEEDED']);
  });

  it('are released by close()', async () => {
    const servers = [await replica('a'), await replica('b')];
    const client = connect({ addresses: servers.map(({ address }) => address) });
    await names(client, 2);
    client.close();
    expect(client.servers()).to.deep.equal([]);
  });
});

async function names(client: InferenceClient, count: number): Promise<string[]> {
  const found: string[] = [];
  for (let call = 0; call < count; call += 1) found.push((await client.getServerInfo()).version);
  return found;
}

/** Waits until the condition holds, at most for mocha's timeout. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}
