import { type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import { InferenceService } from '@heimdex/gen';
import { expect } from 'chai';
import { createError } from '../src/errors.js';
import * as library from '../src/index.js';
import { failureOf } from './support/failure-of.js';
import { type FakeService, failure, startFakeService } from './support/fake-service.js';

const { createInferenceClient, InferenceClientError } = library;

describe('The class of an error', () => {
  let service: FakeService;
  let refusal = failure(status.INTERNAL, '');

  before(async () => {
    const embedText = (_call: ServerUnaryCall<unknown, unknown>, reply: sendUnaryData<unknown>) => reply(refusal);
    service = await startFakeService([[InferenceService, { embedText }]]);
  });
  after(() => service.close());

  const CASES = [
    [status.RESOURCE_EXHAUSTED, 'QUEUE_FULL', library.QueueFullError],
    [status.RESOURCE_EXHAUSTED, 'MESSAGE_TOO_LARGE', library.MessageTooLargeError],
    [status.UNIMPLEMENTED, 'FEATURE_DISABLED', library.FeatureDisabledError],
    [status.INVALID_ARGUMENT, 'TEXT_TOO_LONG', library.InvalidArgumentError],
    [status.DEADLINE_EXCEEDED, 'DEADLINE_EXCEEDED', library.DeadlineExceededError],
    [status.UNAVAILABLE, 'DRAINING', library.UnavailableError],
    [status.UNAUTHENTICATED, 'UNAUTHENTICATED', library.UnauthenticatedError],
    [status.INTERNAL, 'INTERNAL', InferenceClientError],
  ] as const;

  for (const [code, reason, expected] of CASES) {
    it(`with reason ${reason} is ${expected.name}, with all fields`, async () => {
      refusal = failure(code, 'why', { reason });
      const client = createInferenceClient({ address: service.address, retry: { maxAttempts: 1 } });
      try {
        const error = await failureOf(client.embedText(['text']));
        expect(error.constructor).to.equal(expected);
        expect(error).to.be.instanceOf(InferenceClientError);
        expect(error).to.include({ name: expected.name, reason, method: 'EmbedText', address: service.address });
        expect(error.toJSON()).to.include({ name: expected.name, reason });
      } finally {
        client.close();
      }
    });
  }

  it('is that of the failure for those that the client finds itself', async () => {
    const client = createInferenceClient({ address: service.address });
    const aborted = client.embedText(['text'], { signal: AbortSignal.abort() });
    expect(await failureOf(aborted)).to.be.instanceOf(library.CallAbortedError);
    client.close();
    expect(await failureOf(client.embedText(['text']))).to.be.instanceOf(library.ClientClosedError);
    const nowhere = createInferenceClient({ address: '127.0.0.1:1', retry: { maxAttempts: 1 } });
    const unreachable = await failureOf(nowhere.embedText(['text']));
    nowhere.close();
    expect(unreachable).to.be.instanceOf(library.UnreachableError).and.to.be.instanceOf(library.UnavailableError);
  });

  it('is that of the status where its details cannot be read, as from another program', async () => {
    refusal = failure(status.INVALID_ARGUMENT, 'why');
    refusal.metadata.set('grpc-status-details-bin', Buffer.from([0xff]));
    const client = createInferenceClient({ address: service.address });
    const error = await failureOf(client.embedText(['text'])).finally(() => client.close());
    expect(error).to.be.instanceOf(library.InvalidArgumentError).and.to.include({ message: 'why', reason: undefined });
  });

  it('is InferenceClientError for a reason that a later server may send', () => {
    for (const reason of ['SOMETHING_NEW', 'constructor', '__proto__']) {
      expect(createError('FAILED_PRECONDITION', 'why', { reason }).constructor).to.equal(InferenceClientError);
    }
    expect(createError('INVALID_ARGUMENT', 'why', { reason: 'SOMETHING_NEW' })).to.be.instanceOf(
      library.InvalidArgumentError,
    );
  });
});
