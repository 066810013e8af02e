import { getEventListeners } from 'node:events';
import { createServer } from 'node:http';
import { constants, createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import { setImmediate } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { connected } from './support/connected.js';
import { one, type Reply, useEmbedText } from './support/embed-text-service.js';
import { failureOf } from './support/failure-of.js';
import { deferred, failure } from './support/fake-service.js';
import { listen } from './support/listen.js';

describe('a call of the client', () => {
  const { open, serve, connect } = useEmbedText();

  /** A server that is starting for that many calls. */
  async function restarting(refusals: number) {
    let calls = 0;
    const { address } = await serve((_call, reply) => {
      calls += 1;
      if (calls <= refusals) reply(failure(status.UNAVAILABLE, 'starting', { reason: 'STARTING' }));
      else reply(null, one);
    });
    return { address, calls: () => calls };
  }

  it('throws an error of the whole call with its details', async () => {
    const { address } = await serve((_call, reply) => {
      reply(
        failure(status.INVALID_ARGUMENT, 'expected 1 to 64 texts, got 0', {
          reason: 'INVALID_ARGUMENT',
          field: 'texts',
        }),
      );
    });
    const error = await failureOf(connect({ address }).embedText([]));
    expect(error).to.include({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_ARGUMENT',
      field: 'texts',
      message: 'expected 1 to 64 texts, got 0',
      method: 'EmbedText',
      attempts: 1,
      address,
    });
  });

  it('retries when the server is unavailable', async () => {
    const { address, calls } = await restarting(2);
    await connect({ address, retry: { initialDelayMs: 1 } }).embedText(['a']);
    expect(calls()).to.equal(3);
  });

  it('is retried as often as asked for while the server is restarted', async () => {
    const { address, calls } = await restarting(19);
    await connect({ address, retry: { maxAttempts: 20, initialDelayMs: 1, maxDelayMs: 1 } }).embedText(['a']);
    expect(calls()).to.equal(20);
  });

  it("waits for the server's requested delay after a full queue", async () => {
    const times: number[] = [];
    const { address } = await serve((_call, reply) => {
      times.push(performance.now());
      if (times.length === 1)
        reply(failure(status.RESOURCE_EXHAUSTED, 'full', { reason: 'QUEUE_FULL', retryAfterMs: 60 }));
      else reply(null, one);
    });
    await connect({ address }).embedText(['a']);
    expect(times).to.have.length(2);
    expect((times[1] ?? 0) - (times[0] ?? 0)).to.be.at.least(59);
  });

  it('at low priority waits while the queue is full, however often it is refused, unless retries are off', async () => {
    let refusals = 0;
    const { address } = await serve((_call, reply) => {
      refusals += 1;
      if (refusals === 20) return reply(null, one);
      // A refusal is not an attempt: a failure of another kind is retried as of a call that never waited.
      if (refusals === 10)
        return reply(failure(status.UNAVAILABLE, 'lost', { reason: 'WORKER_LOST', retryAfterMs: 1 }));
      reply(failure(status.RESOURCE_EXHAUSTED, 'full', { reason: 'QUEUE_FULL', retryAfterMs: 1 }));
    });
    await connect({ address, priority: 'bulk' }).embedText(['a']);
    const once = connect({ address, retry: { maxAttempts: 1 } });
    const error = await failureOf(once.embedText(['a'], { priority: 'bulk' }));
    expect(error).to.include({ reason: 'QUEUE_FULL', attempts: 1 });
  });

  it('does not wait for a delay beyond the deadline', async () => {
    const { address } = await serve((_call, reply) => {
      reply(failure(status.RESOURCE_EXHAUSTED, 'full', { reason: 'QUEUE_FULL', retryAfterMs: 3_600_000 }));
    });
    const error = await failureOf(connect({ address }).embedText(['a'], { timeoutMs: 5_000 }));
    expect(error).to.include({ code: 'RESOURCE_EXHAUSTED', retryAfterMs: 3_600_000, attempts: 1 });
  });

  it('fails after the last attempt and reports the number of attempts', async () => {
    const { address } = await serve((_call, reply) => reply(failure(status.UNAVAILABLE, 'draining')));
    const error = await failureOf(connect({ address, retry: { maxAttempts: 2, initialDelayMs: 1 } }).embedText(['a']));
    expect(error).to.include({ code: 'UNAVAILABLE', message: 'draining', attempts: 2 });
  });

  it('limits retries over all calls by a budget', async () => {
    let calls = 0;
    const { address } = await serve((_call, reply) => {
      calls += 1;
      reply(failure(status.UNAVAILABLE, 'draining'));
    });
    const client = connect({ address, retry: { initialDelayMs: 1 } });
    for (let call = 0; call < 20; call += 1) await failureOf(client.embedText(['a']));
    expect(calls).to.equal(24); // 4 retries exhaust the budget; the other calls are sent once.
  });

  it('ends a call at its deadline when the server does not respond, and names the failure before', async () => {
    const replies = [failure(status.UNAVAILABLE, 'draining')];
    const { address } = await serve((_call, reply) => {
      const refusal = replies.pop();
      if (refusal !== undefined) reply(refusal);
    });
    const client = connect({ address, timeoutsMs: { EmbedText: 500 }, retry: { initialDelayMs: 1 } });
    await connected(client);
    const error = await failureOf(client.embedText(['a']));
    expect(error).to.include({ code: 'DEADLINE_EXCEEDED', reason: 'TIMEOUT', method: 'EmbedText', attempts: 2 });
    expect(error.message).to.equal(
      `EmbedText got no response from ${address} in time, after an attempt that failed: draining`,
    );
  });

  describe("while the system's clock is set", () => {
    const { now } = Date;
    afterEach(() => {
      Date.now = now;
    });

    /** A server that refuses the first call, when the clock is set, and does with others what `then` does. */
    async function clockSet(byMs: number, then: (reply: Reply) => void) {
      let calls = 0;
      return serve((_call, reply) => {
        calls += 1;
        if (calls > 1) return then(reply);
        Date.now = () => now() + byMs;
        reply(failure(status.UNAVAILABLE, 'starting'));
      });
    }

    it('forward, is retried while it has time', async () => {
      const { address } = await clockSet(3_600_000, (reply) => reply(null, one));
      await connect({ address, retry: { initialDelayMs: 1 } }).embedText(['a']);
    });

    it('back, ends at its deadline', async () => {
      const { address } = await clockSet(-3_600_000, () => {});
      const client = connect({ address, timeoutsMs: { EmbedText: 500 }, retry: { initialDelayMs: 1 } });
      await connected(client);
      expect(await failureOf(client.embedText(['a']))).to.include({ code: 'DEADLINE_EXCEEDED' });
    });
  });

  it('leaves no listener at a signal that many calls share, whether they succeed or fail', async () => {
    const replies = [failure(status.INVALID_ARGUMENT, 'no')];
    const { address } = await serve((_call, reply) => reply(replies.pop() ?? null, one));
    const client = connect({ address });
    const { signal } = new AbortController();
    await failureOf(client.embedText(['a'], { signal }));
    await client.embedText(['a'], { signal });
    expect(getEventListeners(signal, 'abort')).to.deep.equal([]);
  });

  it('cancels a call when its signal fires, on the server as well', async () => {
    const controller = new AbortController();
    const cancelled = deferred();
    const { address } = await serve((call) => {
      call.on('cancelled', () => cancelled.resolve());
      controller.abort(new Error('not needed any more'));
    });
    const error = await failureOf(connect({ address }).embedText(['a'], { signal: controller.signal }));
    expect(error).to.include({ code: 'CANCELLED', reason: 'ABORTED' });
    expect(error.cause).to.have.property('message', 'not needed any more');
    await cancelled.promise;
  });

  it('shares a signal between many calls without a warning of Node.js', async () => {
    const { address } = await serve((_call, reply) => reply(null, one));
    const client = connect({ address });
    const warnings: Error[] = [];
    const warn = (warning: Error) => warnings.push(warning);
    process.on('warning', warn);
    try {
      const { signal } = new AbortController();
      await Promise.all(Array.from({ length: 11 }, () => client.embedText(['text'], { signal })));
    } finally {
      process.off('warning', warn);
    }
    expect(warnings).to.deep.equal([]);
  });

  it('fails open and new calls when closed', async () => {
    const called = deferred();
    const { address } = await serve(() => called.resolve());
    const client = connect({ address });
    const failed = failureOf(client.embedText(['a']));
    await called.promise;
    client.close();
    client.close();
    expect(await failed).to.include({ code: 'UNAVAILABLE', reason: 'CLOSED' });
    expect(await failureOf(client.embedText(['a']))).to.include({ code: 'UNAVAILABLE', reason: 'CLOSED' });
  });

  it('says that a program or a proxy does not speak HTTP/2', async () => {
    const address = await listen(open(createServer((_request, response) => response.end('hello'))));
    const error = await failureOf(connect({ address, retry: { maxAttempts: 1 } }).getServerInfo());
    expect(error).to.include({ code: 'UNAVAILABLE', reason: 'UNREACHABLE' });
    expect(error.message).to.contain(`${address} cannot be reached: what answers does not speak HTTP/2`);
  });

  it('says that an answer is not of gRPC, such as that of a proxy', async () => {
    const address = await listen(open(createHttp2Server((_request, response) => response.writeHead(415).end('no'))));
    const error = await failureOf(connect({ address }).getServerInfo());
    expect(error).to.include({ code: 'UNKNOWN', attempts: 1 });
    expect(error.message).to.contain(
      `Expected gRPC from ${address}, got HTTP status 415: another program, or a proxy that`,
    );
  });

  it('says that an answer has a compression that it does not read', async () => {
    const compressed = Buffer.from([1, 0, 0, 0, 1, 0]);
    for (const encoding of [{}, { 'grpc-encoding': 'zstd' }]) {
      const headers = { 'content-type': 'application/grpc', ...encoding };
      const proxy = createHttp2Server().on('stream', (stream) => {
        stream.respond(headers, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' })).end(compressed);
      });
      const address = await listen(open(proxy));
      const error = await failureOf(connect({ address }).getServerInfo());
      expect(error).to.include({ code: 'INTERNAL', attempts: 1 });
      expect(error.message).to.contain(`Expected the answer of ${address} to be compressed with gzip`);
    }
  });

  it('is not sent again where a proxy has ended it at its time limit', async () => {
    const envoy = (said: string) => ({ 'content-type': 'application/grpc', 'grpc-status': 14, 'grpc-message': said });
    // As of nginx and HAProxy; as of Envoy for a route's timeout and for a stream that is idle.
    for (const answer of [{ ':status': 504 }, envoy('upstream request timeout'), envoy('stream timeout')]) {
      const proxy = createHttp2Server().on('stream', (stream) => stream.respond(answer, { endStream: true }));
      const address = await listen(open(proxy));
      const error = await failureOf(connect({ address }).getServerInfo());
      expect(error).to.include({ code: 'UNAVAILABLE', reason: 'PROXY_TIMEOUT', attempts: 1 });
      expect(error.message).to.contain(`A proxy at ${address} ended GetServerInfo at its own time limit`);
    }
  });

  it('says that what answers has ended the call, as a proxy may', async () => {
    const { NGHTTP2_CANCEL, NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_INTERNAL_ERROR } = constants;
    const resetBy = (code: number) => (stream: ServerHttp2Stream) => stream.close(code);
    const endWithoutTrailers = (stream: ServerHttp2Stream) => {
      stream.respond({ 'content-type': 'application/grpc' });
      stream.end(Buffer.alloc(5));
    };
    const ended = 'ended the call without a status: a proxy that limits the time';
    const refused = 'refused the call as too much for it: its headers, the token among them, are too long';
    for (const [end, code, why] of [
      [resetBy(NGHTTP2_CANCEL), 'CANCELLED', ended],
      [resetBy(NGHTTP2_INTERNAL_ERROR), 'INTERNAL', ended],
      [endWithoutTrailers, 'INTERNAL', ended],
      [resetBy(NGHTTP2_ENHANCE_YOUR_CALM), 'RESOURCE_EXHAUSTED', refused],
    ] as const) {
      const proxy = createHttp2Server().on('stream', (stream) => end(stream.on('error', () => undefined)));
      const address = await listen(open(proxy));
      const error = await failureOf(connect({ address }).getServerInfo());
      expect(error).to.include({ code, reason: undefined });
      expect(error.message).to.contain(`${address} ${why}`);
    }
  });

  it('reports a refused connection clearly', async () => {
    const { address, close } = await serve(() => undefined);
    close();
    const error = await failureOf(connect({ address, retry: { maxAttempts: 2, initialDelayMs: 1 } }).embedText(['a']));
    expect(error).to.include({ code: 'UNAVAILABLE', reason: 'UNREACHABLE', attempts: 2 });
    expect(error.message).to.equal(`${address} cannot be reached: connect ECONNREFUSED ${address}`);
  });

  it('fails when the token function fails or times out', async () => {
    const { address } = await serve((_call, reply) => reply(null, one));
    const broken = await failureOf(
      connect({ address, token: () => Promise.reject(new Error('vault sealed')) }).embedText(['a']),
    );
    expect(broken).to.include({ code: 'UNAUTHENTICATED', reason: 'NO_TOKEN', message: 'no token: vault sealed' });
    const never = () => new Promise<string>(() => undefined);
    const late = await failureOf(connect({ address, token: never, connectTimeoutMs: 20 }).embedText(['a']));
    expect(late).to.include({ code: 'UNAUTHENTICATED', reason: 'NO_TOKEN' });
  });

  it('goes to another address of the name when its own leaves it while the token is renewed', async () => {
    const { port } = await serve((_call, reply) => reply(null, one));
    const renewal = deferred();
    const { now } = performance;
    let offsetMs = 0;
    performance.now = () => now.call(performance) + offsetMs;
    try {
      const client = connect({
        address: `dns:///inference.test:${port}`,
        lookup: async () => {
          if (offsetMs === 0) return ['127.0.0.1'];
          await renewal.promise;
          return ['localhost'];
        },
        token: async () => {
          if (offsetMs > 0) renewal.resolve();
          while (offsetMs > 0 && client.servers()[0]?.address !== `localhost:${port}`) await setImmediate();
          return 'token';
        },
      });
      await client.embedText(['a']);
      offsetMs = 30_000; // The age at which addresses are looked up again.
      let opened = 0;
      const audio = {
        [Symbol.iterator]: () => {
          opened += 1;
          return [new Uint8Array(8)].values();
        },
      };
      const speech = failureOf(client.transcribeStream(audio).next());
      expect((await client.embedText(['a'])).results).to.have.length(1);
      expect(await speech).to.include({ code: 'UNIMPLEMENTED' });
      expect(opened).to.equal(1);
    } finally {
      performance.now = now;
    }
  });
});
