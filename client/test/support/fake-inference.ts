import { create } from '@bufbuild/protobuf';
import { type ServerUnaryCall, type ServerWritableStream, type sendUnaryData, status } from '@grpc/grpc-js';
import {
  type DetectFacesRequest,
  type DetectFacesResponse,
  DetectFacesResponseSchema,
  type EmbeddingResult,
  EmbeddingResultSchema,
  type EmbedImageRequest,
  type EmbedImageResponse,
  EmbedImageResponseSchema,
  type EmbedTextRequest,
  type EmbedTextResponse,
  EmbedTextResponseSchema,
  type FaceResult,
  FaceResultSchema,
  type GetServerInfoResponse,
  GetServerInfoResponseSchema,
  Health,
  type HealthCheckRequest,
  type HealthCheckResponse,
  HealthCheckResponseSchema,
  type HealthListResponse,
  HealthListResponseSchema,
  InferenceService,
  HealthCheckResponse_ServingStatus as Serving,
  StatusSchema,
  type TranscribeStreamRequest,
} from '@heimdex/gen';
import { detailsOf, type FakeService, failure, startFakeService } from './fake-service.js';
import { finish, type SpeechCall, send } from './speech-service.js';

/** State of the fake server, which tests read and change. */
export interface FakeInference extends FakeService {
  model: { id: string; revision: string; variant: string };
  health: Serving;
  maxMessageBytes: bigint;
  /** Calls of EmbedImage that find its model still loading. */
  loadingCalls: number;
  /** Calls of GetServerInfo. */
  infos: number;
  /** Batch sizes of EmbedImage, in the order of the calls. */
  readonly imageBatches: number[];
  /** When the last call of EmbedImage was to have ended, by Date.now(). */
  imageDeadlineMs: number;
  /** The service names of health checks, in order. */
  readonly healthChecks: string[];
  readonly starts: TranscribeStreamRequest['message'][];
}

type Unary<Input, Output> = (call: ServerUnaryCall<Input, Output>, reply: sendUnaryData<Output>) => void;

/** Maximum items per call. */
const MAX_BATCH_ITEMS = 3;

/**
 * A fake server whose responses derive from the inputs. An image (a text file) or a text is the vector written in it, such
 * as `1,0`. An audio file is its lines, one second each. `bad` fails the item, `forbidden` the call. Every image has one
 * face.
 */
export async function startFakeInference(): Promise<FakeInference> {
  const state = {
    model: { id: 'org/name', revision: 'a'.repeat(40), variant: 'q8' },
    health: Serving.SERVING,
    maxMessageBytes: 67_108_864n,
    loadingCalls: 0,
    infos: 0,
    imageBatches: [] as number[],
    imageDeadlineMs: 0,
    healthChecks: [] as string[],
    starts: [] as TranscribeStreamRequest['message'][],
  };

  const getServerInfo: Unary<unknown, GetServerInfoResponse> = (_call, reply) => {
    state.infos += 1;
    const { model } = state;
    const vision = { role: 'vision', model, dimensions: 2, device: 'cpu', family: 'siglip', memoryBytes: 83_886_080n };
    const models = state.loadingCalls > 0 ? [] : [vision];
    const limits = { maxMessageBytes: state.maxMessageBytes, maxBatchItems: MAX_BATCH_ITEMS, maxAudioSeconds: 7200 };
    reply(
      null,
      create(GetServerInfoResponseSchema, {
        version: '9.9.9',
        uptimeSeconds: 62,
        models,
        limits,
        audioFormats: ['wav'],
      }),
    );
  };
  const embedImage: Unary<EmbedImageRequest, EmbedImageResponse> = (call, reply) => {
    const { request } = call;
    state.imageDeadlineMs = Number(call.getDeadline());
    if (state.loadingCalls > 0) {
      state.loadingCalls -= 1;
      reply(failure(status.UNAVAILABLE, 'still loading', { reason: 'STARTING', retryAfterMs: 1 }));
      return;
    }
    state.imageBatches.push(request.images.length);
    if (request.images.some(({ content }) => Buffer.from(content).toString() === 'forbidden')) {
      reply(failure(status.PERMISSION_DENIED, 'not for you'));
      return;
    }
    const results = request.images.map(({ content }, index) =>
      vector(Buffer.from(content).toString(), `images[${index}].content`),
    );
    reply(null, create(EmbedImageResponseSchema, { results, dimensions: 2, model: state.model }));
  };
  const embedText: Unary<EmbedTextRequest, EmbedTextResponse> = ({ request }, reply) => {
    const results = request.texts.map((text, index) => vector(text, `texts[${index}]`));
    reply(null, create(EmbedTextResponseSchema, { results, dimensions: 2, model: state.model }));
  };
  const detectFaces: Unary<DetectFacesRequest, DetectFacesResponse> = ({ request }, reply) => {
    reply(
      null,
      create(DetectFacesResponseSchema, {
        results: request.images.map(({ content }) => face(content)),
        model: state.model,
      }),
    );
  };
  const transcribeStream = (call: SpeechCall) => {
    const chunks: Uint8Array[] = [];
    call.on('data', ({ message }: TranscribeStreamRequest) => {
      if (message.case === 'audio') chunks.push(message.value);
      else state.starts.push(message);
    });
    call.on('end', () => respond(call, Buffer.concat(chunks).toString()));
  };
  const list: Unary<unknown, HealthListResponse> = (_call, reply) => {
    const statuses = { '': { status: state.health }, [InferenceService.typeName]: { status: state.health } };
    reply(null, create(HealthListResponseSchema, { statuses }));
  };
  const check: Unary<HealthCheckRequest, HealthCheckResponse> = ({ request }, reply) => {
    state.healthChecks.push(request.service);
    if (request.service !== '' && !request.service.startsWith(InferenceService.typeName))
      reply(failure(status.NOT_FOUND, 'no such service'));
    else reply(null, create(HealthCheckResponseSchema, { status: state.health }));
  };
  const watch = (call: ServerWritableStream<HealthCheckRequest, HealthCheckResponse>) => {
    state.healthChecks.push(call.request.service);
    for (const status of [Serving.NOT_SERVING, Serving.SERVING])
      call.write(create(HealthCheckResponseSchema, { status }));
    call.end();
  };

  const service = await startFakeService([
    [InferenceService, { getServerInfo, embedImage, embedText, detectFaces, transcribeStream }],
    [Health, { list, check, watch }],
  ]);
  return Object.assign(state, service);
}

function vector(text: string, field: string): EmbeddingResult {
  const numbers = text.trim().split(',').map(Number);
  if (numbers.length !== 2 || numbers.some(Number.isNaN)) {
    const details = detailsOf({ reason: 'IMAGE_UNREADABLE', field });
    const error = create(StatusSchema, { code: status.INVALID_ARGUMENT, message: 'not an image', details });
    return create(EmbeddingResultSchema, { result: { case: 'error', value: error } });
  }
  const float32Le = new Uint8Array(new Float32Array(numbers).buffer);
  return create(EmbeddingResultSchema, { result: { case: 'embedding', value: { float32Le, tokenCount: 4 } } });
}

function face(content: Uint8Array): FaceResult {
  if (Buffer.from(content).toString() === 'bad') {
    const error = create(StatusSchema, { code: status.INVALID_ARGUMENT, message: 'not an image' });
    return create(FaceResultSchema, { result: { case: 'error', value: error } });
  }
  const at = (x: number, y: number) => ({ x, y });
  const landmarks = {
    rightEye: at(40, 40),
    leftEye: at(60, 40),
    nose: at(50, 50),
    rightMouthCorner: at(42, 65),
    leftMouthCorner: at(58, 65),
  };
  const faces = [{ box: { x: 30, y: 20, width: 40, height: 60 }, score: 0.875, landmarks }];
  return create(FaceResultSchema, {
    result: { case: 'detections', value: { imageWidth: 100, imageHeight: 200, faces } },
  });
}

function respond(call: SpeechCall, text: string): void {
  const lines = text.split('\n').filter((line) => line !== '');
  for (const [id, line] of lines.entries()) {
    if (line === 'bad') {
      call.emit('error', failure(status.INVALID_ARGUMENT, 'not audio', { reason: 'AUDIO_UNREADABLE' }));
      return;
    }
    send(call, { case: 'segment', value: { id, startSeconds: id, endSeconds: id + 1, text: ` ${line}` } });
    send(call, { case: 'progress', value: { processedSeconds: id + 1 } });
  }
  finish(call, { languageProbability: 0.5, durationSeconds: lines.length });
}
