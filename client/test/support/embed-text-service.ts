import { create } from '@bufbuild/protobuf';
import type { ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import { type EmbedTextRequest, type EmbedTextResponse, EmbedTextResponseSchema, InferenceService } from '@heimdex/gen';
import { createInferenceClient, type InferenceClient, type InferenceClientOptions } from '../../src/index.js';
import { closedAfterEach } from './closed-after-each.js';
import { type FakeService, startFakeService } from './fake-service.js';

type EmbedTextCall = ServerUnaryCall<EmbedTextRequest, EmbedTextResponse>;
export type Reply = sendUnaryData<EmbedTextResponse>;

/** The model of {@link one}. */
export const model = { id: 'org/name', revision: 'a'.repeat(40), variant: 'q8' };

/** A response with one vector. */
export const one = create(EmbedTextResponseSchema, {
  dimensions: 2,
  model,
  results: [{ result: { case: 'embedding', value: { float32Le: bytesOf([0.5, -1]), tokenCount: 3 } } }],
});

/** Servers of EmbedText and clients, closed after each test of a describe block. */
export function useEmbedText() {
  const open = closedAfterEach();
  return {
    open,
    async serve(embedText: (call: EmbedTextCall, reply: Reply) => void): Promise<FakeService> {
      return open(await startFakeService([[InferenceService, { embedText }]]));
    },
    connect: (options: InferenceClientOptions): InferenceClient => open(createInferenceClient(options)),
  };
}

/** The numbers of a vector, as the contract has them. */
export function bytesOf(numbers: readonly number[]): Uint8Array {
  return new Uint8Array(new Float32Array(numbers).buffer);
}
