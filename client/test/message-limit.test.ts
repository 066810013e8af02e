import { create } from '@bufbuild/protobuf';
import { type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import { GetServerInfoResponseSchema, InferenceService, TranscribeResponseSchema } from '@heimdex/gen';
import { expect } from 'chai';
import { createInferenceClient, type InferenceClient, MessageTooLargeError } from '../src/index.js';
import { failureOf } from './support/failure-of.js';
import { type FakeService, failure, startFakeService } from './support/fake-service.js';

const MIB = 1_024 * 1_024;

describe('A request that is too large for one message', () => {
  let service: FakeService;
  let client: InferenceClient;
  let calls = 0;
  let maxMessageBytes = 0n;
  let refusal: ReturnType<typeof failure> | undefined;

  before(async () => {
    const getServerInfo = (_call: unknown, reply: sendUnaryData<unknown>) =>
      reply(null, create(GetServerInfoResponseSchema, { limits: { maxMessageBytes } }));
    const transcribe = (_call: ServerUnaryCall<unknown, unknown>, reply: sendUnaryData<unknown>) => {
      calls += 1;
      if (refusal === undefined) reply(null, create(TranscribeResponseSchema, { text: 'text' }));
      else reply(refusal);
    };
    service = await startFakeService([[InferenceService, { getServerInfo, transcribe }]], {
      options: { 'grpc.max_receive_message_length': 80 * MIB },
    });
    client = createInferenceClient({ address: service.address });
  });
  beforeEach(() => {
    calls = 0;
    maxMessageBytes = BigInt(64 * MIB);
    refusal = undefined;
  });
  after(() => {
    client.close();
    service.close();
  });

  it('is not sent, and the error suggests a stream', async () => {
    const error = await failureOf(client.transcribe(new Uint8Array(64 * MIB)));
    expect(error).to.include({ code: 'RESOURCE_EXHAUSTED', reason: 'MESSAGE_TOO_LARGE', method: 'Transcribe' });
    expect(error.message)
      .to.include(`accepts ${64 * MIB}`)
      .and.to.include('client.transcribeStream');
    expect(calls).to.equal(0);
  });

  it('suggests fewer items per call for a batch', async () => {
    const error = await failureOf(client.embedImage([new Uint8Array(40 * MIB), new Uint8Array(40 * MIB)]));
    expect(error).to.include({ reason: 'MESSAGE_TOO_LARGE', method: 'EmbedImage' });
    expect(error.message).to.include('Send fewer items per call');
  });

  it('is not sent to a server with a lower limit, until the server has a higher one', async () => {
    maxMessageBytes = BigInt(2 * MIB);
    const fresh = createInferenceClient({ address: service.address });
    const error = await failureOf(fresh.transcribe(new Uint8Array(3 * MIB)));
    expect(error).to.be.instanceOf(MessageTooLargeError);
    expect(error.message)
      .to.include(`accepts ${2 * MIB}`)
      .and.to.include('client.transcribeStream');
    expect(calls).to.equal(0);
    maxMessageBytes = BigInt(4 * MIB);
    expect((await fresh.transcribe(new Uint8Array(3 * MIB))).text).to.equal('text');
    fresh.close();
  });

  it('is sent to a server with a higher limit', async () => {
    maxMessageBytes = BigInt(80 * MIB);
    expect((await client.transcribe(new Uint8Array(65 * MIB))).text).to.equal('text');
  });

  it('gets the same suggestion when the server rejects it', async () => {
    refusal = failure(status.RESOURCE_EXHAUSTED, 'Received message larger than max (9 vs. 8)');
    const plain = await failureOf(client.transcribe(new Uint8Array(9)));
    expect(plain).to.include({ code: 'RESOURCE_EXHAUSTED', reason: 'MESSAGE_TOO_LARGE' });
    expect(plain.message).to.match(/^Received message larger than max .*client\.transcribeStream/);
    refusal = failure(status.RESOURCE_EXHAUSTED, 'The message has 9 bytes.', { reason: 'MESSAGE_TOO_LARGE' });
    const named = await failureOf(client.transcribe(new Uint8Array(9)));
    expect(named.message).to.match(/^The message has 9 bytes\. .*client\.transcribeStream/);
    expect(calls).to.equal(2);
  });
});
