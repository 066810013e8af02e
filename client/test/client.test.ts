import { getEventListeners, once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { create } from '@bufbuild/protobuf';
import { type ServerUnaryCall, type ServerWritableStream, type sendUnaryData, status } from '@grpc/grpc-js';
import {
  type EmbedTextRequest,
  type EmbedTextResponse,
  EmbedTextResponseSchema,
  GetServerInfoResponseSchema,
  Health,
  type HealthCheckResponse,
  HealthCheckResponseSchema,
  type HealthListResponse,
  HealthListResponseSchema,
  InferenceService,
  StatusSchema,
  VectorEncoding,
} from '@heimdex/gen';
import { expect } from 'chai';
import {
  createInferenceClient,
  type InferenceClient,
  InferenceClientError,
  type InferenceClientOptions,
} from '../src/index.js';
import { failureOf } from './support/failure-of.js';
import { deferred, detailsOf, type FakeService, failure, startFakeService } from './support/fake-service.js';

type EmbedTextCall = ServerUnaryCall<EmbedTextRequest, EmbedTextResponse>;
type Reply = sendUnaryData<EmbedTextResponse>;

const model = { id: 'org/name', revision: 'a'.repeat(40), variant: 'q8' };
const one = create(EmbedTextResponseSchema, {
  dimensions: 2,
  model,
  results: [{ result: { case: 'embedding', value: { float32Le: bytesOf([0.5, -1]), tokenCount: 3 } } }],
});

describe('the client', () => {
  const open: { close(): void }[] = [];
  afterEach(() => {
    for (const resource of open.splice(0).reverse()) resource.close();
  });

  async function serve(embedText: (call: EmbedTextCall, reply: Reply) => void): Promise<FakeService> {
    const service = await startFakeService([[InferenceService, { embedText }]]);
    open.push(service);
    return service;
  }

  function connect(options: InferenceClientOptions): InferenceClient {
    const client = createInferenceClient(options);
    open.push(client);
    return client;
  }

  it('returns vectors as Float32Arrays that share one buffer', async () => {
    const requests: EmbedTextRequest[] = [];
    const { address } = await serve((call, reply) => {
      requests.push(call.request);
      const embedding = (numbers: number[]) => ({
        result: { case: 'embedding' as const, value: { float32Le: bytesOf(numbers), tokenCount: 3 } },
      });
      reply(
        null,
        create(EmbedTextResponseSchema, { dimensions: 2, model, results: [embedding([0.5, -1]), embedding([2, 3])] }),
      );
    });
    const answer = await connect({ address }).embedText(['a', 'b'], { normalize: false });
    const [first, second] = answer.results.map((result) => (result.ok ? result.value : undefined));
    expect(first).to.deep.equal({ vector: new Float32Array([0.5, -1]), tokenCount: 3, truncated: false });
    expect(second?.vector).to.deep.equal(new Float32Array([2, 3]));
    expect(second?.vector.buffer).to.equal(first?.vector.buffer);
    expect(answer.vectors).to.deep.equal(new Float32Array([0.5, -1, 2, 3]));
    expect(answer).to.deep.include({ dimensions: 2, model });
    expect(requests[0]).to.deep.include({ texts: ['a', 'b'], encoding: VectorEncoding.FLOAT32_LE, normalize: false });
  });

  it('also decodes vectors encoded as floats', async () => {
    const { address } = await serve((_call, reply) => {
      const results = [{ result: { case: 'embedding' as const, value: { values: [0.25, 0.75] } } }];
      reply(null, create(EmbedTextResponseSchema, { dimensions: 2, model, results }));
    });
    const { results } = await connect({ address }).embedText(['a']);
    expect(results[0]).to.deep.include({ ok: true });
    expect(results[0]?.ok === true && results[0].value.vector).to.deep.equal(new Float32Array([0.25, 0.75]));
  });

  it('returns the error of a failed item as its result', async () => {
    const { address } = await serve((_call, reply) => {
      const details = detailsOf({ reason: 'TEXT_TOO_LONG', field: 'texts[1]' });
      const error = create(StatusSchema, { code: status.INVALID_ARGUMENT, message: 'too long', details });
      const results = [...one.results, { result: { case: 'error' as const, value: error } }];
      reply(null, create(EmbedTextResponseSchema, { dimensions: 2, model, results }));
    });
    const { results } = await connect({ address }).embedText(['a', 'b']);
    expect(results[0]?.ok).to.equal(true);
    const error = results[1]?.ok === false ? results[1].error : undefined;
    expect(error).to.be.instanceOf(InferenceClientError);
    expect(error).to.include({
      code: 'INVALID_ARGUMENT',
      reason: 'TEXT_TOO_LONG',
      field: 'texts[1]',
      message: 'too long',
    });
    const written = JSON.parse(JSON.stringify(results));
    expect(written[1].error).to.deep.include({
      code: 'INVALID_ARGUMENT',
      reason: 'TEXT_TOO_LONG',
      message: 'too long',
    });
  });

  it('rejects vectors of another model than expected', async () => {
    const { address } = await serve((_call, reply) => reply(null, one));
    const client = connect({ address });
    await client.embedText(['a'], { expectModel: model });
    const error = await failureOf(client.embedText(['a'], { expectModel: { ...model, variant: 'fp32' } }));
    expect(error).to.include({ code: 'FAILED_PRECONDITION', reason: 'MODEL_MISMATCH' });
    expect(error.message).to.contain('org/name@aaaaaaa fp32').and.to.contain('org/name@aaaaaaa q8');
  });

  it('rejects a response without one result per input', async () => {
    const { address } = await serve((_call, reply) => reply(null, one));
    const error = await failureOf(connect({ address }).embedText(['a', 'b']));
    expect(error).to.include({ code: 'INTERNAL', reason: 'MALFORMED_ANSWER' });
  });

  it('takes a status of health that a later server sends for unknown', async () => {
    const later = { status: 9 };
    const service = await startFakeService([
      [
        Health,
        {
          check: (_call: unknown, reply: sendUnaryData<HealthCheckResponse>) =>
            reply(null, create(HealthCheckResponseSchema, later)),
          list: (_call: unknown, reply: sendUnaryData<HealthListResponse>) =>
            reply(null, create(HealthListResponseSchema, { statuses: { '': later } })),
          watch: (call: ServerWritableStream<unknown, HealthCheckResponse>) => {
            call.write(create(HealthCheckResponseSchema, later));
            call.end();
          },
        },
      ],
    ]);
    open.push(service);
    const client = connect({ address: service.address });
    expect(await client.checkHealth()).to.equal('UNKNOWN');
    expect(await client.listHealth()).to.deep.equal({ '': 'UNKNOWN' });
    expect((await client.watchHealth().next()).value).to.equal('UNKNOWN');
  });

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
    let calls = 0;
    const { address } = await serve((_call, reply) => {
      calls += 1;
      if (calls < 3) reply(failure(status.UNAVAILABLE, 'starting', { reason: 'STARTING' }));
      else reply(null, one);
    });
    await connect({ address, retry: { initialDelayMs: 1 } }).embedText(['a']);
    expect(calls).to.equal(3);
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

  it('ends a call at its deadline when the server does not respond', async () => {
    const { address } = await serve(() => undefined);
    const error = await failureOf(connect({ address, timeoutsMs: { EmbedText: 500 } }).embedText(['a']));
    expect(error).to.include({ code: 'DEADLINE_EXCEEDED', reason: 'TIMEOUT', method: 'EmbedText' });
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
    const web = createServer((_request, response) => response.end('hello')).listen(0, '127.0.0.1');
    await once(web, 'listening');
    open.push(web);
    const address = `127.0.0.1:${(web.address() as AddressInfo).port}`;
    const client = connect({ address, retry: { maxAttempts: 1 } });
    const error = await failureOf(client.getServerInfo());
    expect(error).to.include({ code: 'UNAVAILABLE', reason: 'UNREACHABLE' });
    expect(error.message).to.contain(`${address} cannot be reached: what answers does not speak HTTP/2`);
  });

  it('reports a refused connection clearly', async () => {
    const { address, close } = await serve(() => undefined);
    close();
    const error = await failureOf(connect({ address, retry: { maxAttempts: 2, initialDelayMs: 1 } }).embedText(['a']));
    expect(error).to.include({ code: 'UNAVAILABLE', reason: 'UNREACHABLE', attempts: 2 });
    expect(error.message).to.equal(`${address} cannot be reached: connect ECONNREFUSED ${address}`);
  });

  it("sends the token, priority and headers; the call's take precedence", async () => {
    const seen: Record<string, unknown>[] = [];
    const { address } = await serve((call, reply) => {
      seen.push(call.metadata.getMap());
      reply(null, one);
    });
    let tokens = 0;
    const token = async () => `token-${++tokens}`;
    const client = connect({ address, token, priority: 'bulk', headers: { 'x-a': '1', 'x-b': '2' } });
    await client.embedText(['a'], { headers: { 'x-b': '3' } });
    await client.embedText(['a'], { priority: 'interactive' });
    expect(seen[0]).to.include({
      authorization: 'Bearer token-1',
      'x-heimdex-priority': 'bulk',
      'x-a': '1',
      'x-b': '3',
    });
    expect(seen[1]).to.include({ authorization: 'Bearer token-2', 'x-heimdex-priority': 'interactive', 'x-b': '2' });
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

  it('returns responses as plain data, with large integers as numbers', async () => {
    const info = create(GetServerInfoResponseSchema, {
      version: '1.2.3',
      models: [{ role: 'vision', model, memoryBytes: 5_000_000_000n }],
      limits: { maxMessageBytes: 64n },
    });
    const service = await startFakeService([
      [
        InferenceService,
        { getServerInfo: (_call: unknown, reply: (error: null, value: typeof info) => void) => reply(null, info) },
      ],
    ]);
    open.push(service);
    const answer = await connect({ address: service.address }).getServerInfo();
    expect(answer.models[0]?.memoryBytes).to.equal(5_000_000_000);
    expect(JSON.parse(JSON.stringify(answer))).to.deep.include({ version: '1.2.3' });
    expect(answer).to.not.have.property('$typeName');
  });

  it('rejects contradictory options', () => {
    expect(() => createInferenceClient({ address: 'a', addresses: ['b'] })).to.throw(TypeError, 'got both');
    expect(() => createInferenceClient({ addresses: [] })).to.throw(TypeError, 'at least one address');
    expect(() => createInferenceClient({ addresses: ['https://a', 'b'] })).to.throw(TypeError, 'https://');
    for (const tls of [{ cert: 'x' }, { key: 'x' }, { cert: 'x', key: 'x' }]) {
      expect(() => createInferenceClient({ tls })).to.throw(TypeError, 'Expected tls.cert and tls.key');
    }
  });
});

function bytesOf(numbers: readonly number[]): Uint8Array {
  return new Uint8Array(new Float32Array(numbers).buffer);
}
