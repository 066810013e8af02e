import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import {
  InferenceService,
  type TranscribeStreamRequest,
  type TranscribeStreamResponse,
  TranscribeStreamResponseSchema,
  type TranscribeSummarySchema,
} from '@heimdex/gen';
import { type FakeService, startFakeService } from './fake-service.js';

/** A call of TranscribeStream, on the side of the server. */
export type SpeechCall = ServerDuplexStream<TranscribeStreamRequest, TranscribeStreamResponse>;

/** Starts a server that has TranscribeStream alone. */
export function startSpeechService(transcribeStream: (call: SpeechCall) => void): Promise<FakeService> {
  return startFakeService([[InferenceService, { transcribeStream }]]);
}

/** Sends an event. */
export function send(
  call: SpeechCall,
  message: NonNullable<MessageInitShape<typeof TranscribeStreamResponseSchema>['message']>,
): void {
  call.write(create(TranscribeStreamResponseSchema, { message }));
}

/** Sends the summary, the last event, and ends the call. */
export function finish(call: SpeechCall, summary: MessageInitShape<typeof TranscribeSummarySchema> = {}): void {
  send(call, { case: 'summary', value: { language: 'en', ...summary } });
  call.end();
}
