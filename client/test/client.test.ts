import { create } from '@bufbuild/protobuf';
import { type ServerWritableStream, status } from '@grpc/grpc-js';
import {
  type EmbedTextRequest,
  EmbedTextResponseSchema,
  GetServerInfoResponseSchema,
  Health,
  type HealthCheckResponse,
  HealthCheckResponseSchema,
  HealthListResponseSchema,
  InferenceService,
  StatusSchema,
  VectorEncoding,
} from '@heimdex/gen';
import { expect } from 'chai';
import { createInferenceClient, InferenceClientError, InvalidArgumentError, valuesOf } from '../src/index.js';
import { bytesOf, model, one, useEmbedText } from './support/embed-text-service.js';
import { failureOf } from './support/failure-of.js';
import { answering, detailsOf, startFakeService } from './support/fake-service.js';

describe('the client', () => {
  const { open, serve, connect } = useEmbedText();

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
    // Which of the items failed would go unseen in what is thrown for all of them.
    expect(() => valuesOf(results))
      .to.throw(InvalidArgumentError, /^results\[1\]: too long$/)
      .and.include({ reason: 'TEXT_TOO_LONG', field: 'texts[1]' });
    expect(() => valuesOf(results.slice(1))).to.throw(InvalidArgumentError, /^too long$/);
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

  it('rejects vectors of another length than the dimensions before it takes memory for them', async () => {
    const results = [...one.results, ...one.results];
    const answer = create(EmbedTextResponseSchema, { ...one, results, dimensions: 2 ** 32 - 1 });
    const { address } = await serve((_call, reply) => reply(null, answer));
    const error = await failureOf(connect({ address }).embedText(['a', 'b']));
    expect(error).to.include({ code: 'INTERNAL', reason: 'MALFORMED_ANSWER' });
  });

  it('takes a status of health that a later server sends for unknown', async () => {
    const later = { status: 9 };
    const check = answering(HealthCheckResponseSchema, later);
    const list = answering(HealthListResponseSchema, { statuses: { '': later } });
    const watch = (call: ServerWritableStream<unknown, HealthCheckResponse>) => {
      call.write(create(HealthCheckResponseSchema, later));
      call.end();
    };
    const { address } = open(await startFakeService([[Health, { check, list, watch }]]));
    const client = connect({ address });
    expect(await client.checkHealth()).to.equal('UNKNOWN');
    expect(await client.listHealth()).to.deep.equal({ '': 'UNKNOWN' });
    expect((await client.watchHealth().next()).value).to.equal('UNKNOWN');
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

  it('returns responses as plain data, with large integers as numbers', async () => {
    const getServerInfo = answering(GetServerInfoResponseSchema, {
      version: '1.2.3',
      models: [{ role: 'vision', model, memoryBytes: 5_000_000_000n }],
      limits: { maxMessageBytes: 64n },
    });
    const { address } = open(await startFakeService([[InferenceService, { getServerInfo }]]));
    const answer = await connect({ address }).getServerInfo();
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
    // Node.js passes over a file in DER, and would then trust nobody.
    const tls = { ca: Buffer.from([0x30, 0x82, 1, 2]) };
    expect(() => createInferenceClient({ tls })).to.throw(TypeError, 'Expected tls.ca to have certificates in PEM');
  });
});
