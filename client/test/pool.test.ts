import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { create } from '@bufbuild/protobuf';
import {
  credentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import {
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
import { EndpointPool } from '../src/transport/pool.js';
import { failureOf } from './support/failure-of.js';
import { type FakeService, type FakeServiceOptions, failure, startFakeService } from './support/fake-service.js';

type Info = ServerUnaryCall<unknown, unknown>;
type Reply = sendUnaryData<ReturnType<typeof info>>;

/** A server that answers with its name and says of itself what it is told to. */
interface Replica extends FakeService {
  say(status: Serving): void;
  refuse: boolean;
  readonly calls: { count: number };
}

describe('several servers', () => {
  const open: { close(): void }[] = [];
  afterEach(() => {
    for (const each of open.splice(0).reverse()) each.close();
  });

  async function replica(name: string, options: FakeServiceOptions = {}): Promise<Replica> {
    const watchers = new Set<ServerWritableStream<HealthCheckRequest, HealthCheckResponse>>();
    const state = { status: Serving.SERVING, refuse: false };
    const calls = { count: 0 };
    const service = await startFakeService(
      [
        [
          InferenceService,
          {
            getServerInfo: (_call: Info, reply: Reply) => {
              calls.count += 1;
              if (state.refuse) reply(failure(status.UNAVAILABLE, 'draining', { reason: 'DRAINING' }));
              else reply(null, info(name));
            },
          },
        ],
        [
          Health,
          {
            watch: (call: ServerWritableStream<HealthCheckRequest, HealthCheckResponse>) => {
              watchers.add(call);
              call.on('cancelled', () => watchers.delete(call));
              call.write(create(HealthCheckResponseSchema, { status: state.status }));
            },
          },
        ],
      ],
      options,
    );
    open.push(service);
    return {
      ...service,
      calls,
      say: (said) => {
        state.status = said;
        for (const call of watchers) call.write(create(HealthCheckResponseSchema, { status: said }));
      },
      get refuse() {
        return state.refuse;
      },
      set refuse(refuse) {
        state.refuse = refuse;
      },
    };
  }

  function connect(options: InferenceClientOptions): InferenceClient {
    const client = createInferenceClient({ retry: { initialDelayMs: 1 }, ...options });
    open.push(client);
    return client;
  }

  it('are used in turn', async () => {
    const servers = [await replica('a'), await replica('b'), await replica('c')];
    const client = connect({ addresses: servers.map(({ address }) => address) });
    await until(() => client.servers().every(({ health }) => health === 'serving'));
    expect((await names(client, 6)).sort()).to.deep.equal(['a', 'a', 'b', 'b', 'c', 'c']);
  });

  it('are passed over while they say that they do not serve, and used again afterwards', async () => {
    const a = await replica('a');
    const b = await replica('b');
    const client = connect({ addresses: [a.address, b.address] });
    await until(() => client.servers().every(({ health }) => health === 'serving'));
    b.say(Serving.NOT_SERVING);
    await until(() => client.servers().some(({ health }) => health === 'not-serving'));
    expect(await names(client, 4)).to.deep.equal(['a', 'a', 'a', 'a']);
    b.say(Serving.SERVING);
    await until(() => client.servers().every(({ health }) => health === 'serving'));
    expect((await names(client, 4)).sort()).to.deep.equal(['a', 'a', 'b', 'b']);
  });

  it('stand in for one that cannot be reached, at once', async () => {
    const gone = await replica('gone');
    gone.close();
    const a = await replica('a');
    const client = connect({ addresses: [gone.address, a.address], retry: { initialDelayMs: 3_600_000 } });
    expect(await names(client, 3)).to.deep.equal(['a', 'a', 'a']);
    await until(() => client.servers()[0]?.health === 'unreachable');
  });

  it('stand in for one that refuses, which is then left alone for a while', async () => {
    const a = await replica('a');
    const b = await replica('b');
    a.refuse = true;
    const client = connect({ addresses: [a.address, b.address], retry: { initialDelayMs: 3_600_000 } });
    expect(await names(client, 3)).to.deep.equal(['b', 'b', 'b']);
    expect(a.calls.count).to.be.at.most(1);
  });

  it('are found again after they were gone', async () => {
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

  it('count as serving when they have no health service', async () => {
    const plain = await startFakeService([
      [InferenceService, { getServerInfo: (_call: Info, reply: Reply) => reply(null, info('plain')) }],
    ]);
    open.push(plain);
    const a = await replica('a');
    const client = connect({ addresses: [plain.address, a.address] });
    await until(() => client.servers().every(({ health }) => health === 'serving'));
    expect((await names(client, 2)).sort()).to.deep.equal(['a', 'plain']);
  });

  it('behind one DNS name each get a connection', async () => {
    const a = await replica('a', { host: '127.0.0.1' });
    await replica('b', { host: '127.0.0.2', port: a.port });
    const lookup = async () => ['127.0.0.1', '127.0.0.2'];
    const client = connect({ address: `dns:///inference.test:${a.port}`, lookup });
    expect((await names(client, 2)).sort()).to.deep.equal(['a', 'b']);
  });

  it('behind a DNS name are looked up again after 30 s, and sooner after a failure', async () => {
    let found = ['10.0.0.1'];
    let nowMs = 1_000_000;
    const lookedUp: string[] = [];
    const pool = new EndpointPool({
      addresses: [parseAddress('dns:///inference.test:9')],
      connect: (target) => new Endpoint(target, credentials.createInsecure(), {}),
      lookup: async (host) => {
        lookedUp.push(host);
        return found;
      },
      watch: (endpoint) => new HealthWatch(endpoint),
      now: () => nowMs,
    });
    open.push(pool);
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
    pool.failed(first);
    expect(lookedUp).to.have.length(2);
    nowMs += 1_000;
    await until(() => {
      pool.failed(first);
      return addresses()[0] === '10.0.0.3:9';
    });
    expect(addresses()).to.have.length(1);
  });

  it('behind a name that does not resolve: the error says so', async () => {
    const lookup = async () => {
      throw new Error('getaddrinfo ENOTFOUND inference.test');
    };
    const client = connect({ address: 'dns:///inference.test', lookup, retry: { maxAttempts: 1 } });
    const error = await failureOf(client.getServerInfo());
    expect(error).to.include({ code: 'UNAVAILABLE', reason: 'UNREACHABLE', address: 'inference.test' });
    expect(error.message).to.equal('inference.test cannot be reached: getaddrinfo ENOTFOUND inference.test');
  });

  it('behind several names do without those that do not resolve, and stay when their own no longer does', async () => {
    const known = new Map([['one.test', '10.0.0.1']]);
    let nowMs = 1_000_000;
    const pool = new EndpointPool({
      addresses: ['dns:///two.test:9', 'dns:///one.test:9'].map(parseAddress),
      connect: (target) => new Endpoint(target, credentials.createInsecure(), {}),
      lookup: async (host) => {
        const ip = known.get(host);
        if (ip === undefined) throw new Error(`getaddrinfo ENOTFOUND ${host}`);
        return [ip];
      },
      watch: (endpoint) => new HealthWatch(endpoint),
      now: () => nowMs,
    });
    open.push(pool);
    const addresses = () => pool.endpoints.map(({ address }) => address).sort();
    expect((await pool.pick()).address).to.equal('10.0.0.1:9');
    known.delete('one.test');
    known.set('two.test', '10.0.0.2');
    nowMs += 30_000;
    await pool.pick();
    await until(() => addresses().length > 1);
    expect(addresses()).to.deep.equal(['10.0.0.1:9', '10.0.0.2:9']);
  });

  it('behind a name whose resolver never answers: the call ends all the same', async () => {
    const lookup = () => new Promise<string[]>(() => undefined);
    const client = connect({
      address: 'dns:///inference.test',
      lookup,
      connectTimeoutMs: 20,
      retry: { maxAttempts: 1 },
    });
    expect(await failureOf(client.getServerInfo())).to.include({ code: 'UNAVAILABLE', reason: 'UNREACHABLE' });
  });

  it('that accept no connection are given up in time', async () => {
    const taken: Socket[] = [];
    const deaf = createServer((socket) => taken.push(socket)).listen(0, '127.0.0.1'); // Takes connections, says nothing.
    await once(deaf, 'listening');
    try {
      const { port } = deaf.address() as AddressInfo;
      const client = connect({ address: `127.0.0.1:${port}`, connectTimeoutMs: 30, retry: { maxAttempts: 1 } });
      const error = await failureOf(client.getServerInfo());
      expect(error.code).to.be.oneOf(['UNAVAILABLE', 'DEADLINE_EXCEEDED']);
    } finally {
      deaf.close();
      for (const socket of taken) socket.destroy(); // Nobody reads them, so their end is not noticed.
    }
  });

  it('are let go of by close()', async () => {
    const servers = [await replica('a'), await replica('b')];
    const client = connect({ addresses: servers.map(({ address }) => address) });
    await names(client, 2);
    client.close();
    expect(client.servers()).to.deep.equal([]);
  });
});

function info(version: string) {
  return create(GetServerInfoResponseSchema, { version });
}

async function names(client: InferenceClient, count: number): Promise<string[]> {
  const found: string[] = [];
  for (let call = 0; call < count; call += 1) found.push((await client.getServerInfo()).version);
  return found;
}

/** Lets the event loop turn until the condition holds; mocha's time limit bounds it. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}
