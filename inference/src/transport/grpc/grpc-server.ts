/** Native gRPC with grpc-js and the codecs of the generated messages. */
import type { EventEmitter } from 'node:events';
import { create, toBinary } from '@bufbuild/protobuf';
import grpc from '@grpc/grpc-js';
import { InferenceError } from '../../errors.js';
import type { ServedMethod, ServedService } from '../../services/service.js';
import type { OpenCall } from '../calls/call-tracker.js';
import { drained } from '../calls/drained.js';
import type { MessageDecoder } from '../messages/message-decoder.js';
import type { GrpcCall } from './arriving-call.js';
import { type GrpcCalls, type GrpcCallsOptions, grpcCalls } from './interceptor.js';
import { toGrpcStatus } from './status.js';

/** Per connection. */
const MAX_CONCURRENT_STREAMS = 1000;

/** Requests arrive as bytes and the handler decodes them, so that an invalid message gets a clear error. */
type AnyUnary = grpc.ServerUnaryCall<Buffer, Uint8Array>;
type AnyServerStream = grpc.ServerWritableStream<Buffer, Uint8Array>;
type AnyBidi = grpc.ServerDuplexStream<Buffer, Uint8Array>;
type AnyCall = EventEmitter & Pick<AnyUnary, 'metadata'>;

export interface GrpcOptions extends Omit<GrpcCallsOptions, 'decompressor'> {
  readonly decoder: MessageDecoder;
  /** Maximum message size, in and out. */
  readonly maxMessageBytes: number;
  /** Age at which connections are closed gracefully, so that callers spread over new servers. 0: never. */
  readonly maxConnectionAgeMs: number;
}

/** The dependencies of a handler. */
interface Context {
  readonly calls: GrpcCalls;
  readonly decoder: MessageDecoder;
  readonly idleMs: number;
  /** Of a response. */
  readonly maxBytes: number;
}

// It prints headers that it cannot take, whole and not as a line of the log: a token as well.
grpc.setLogVerbosity(grpc.logVerbosity.NONE);

export function createGrpcServer(options: GrpcOptions): grpc.Server {
  const { services, decoder, maxMessageBytes, maxConnectionAgeMs } = options;
  const calls = grpcCalls({ ...options, decompressor: decoder.decompressor });
  const context = { calls, decoder, idleMs: options.streamIdleMs, maxBytes: maxMessageBytes };
  const server = new grpc.Server({
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': maxMessageBytes,
    'grpc.max_concurrent_streams': MAX_CONCURRENT_STREAMS,
    // A dead peer is detected within 90 seconds.
    'grpc.keepalive_time_ms': 60_000,
    'grpc.keepalive_timeout_ms': 20_000,
    'grpc.max_connection_idle_ms': 30 * 60_000,
    'grpc.enable_channelz': 0,
    ...(maxConnectionAgeMs > 0 ? { 'grpc.max_connection_age_ms': maxConnectionAgeMs } : {}),
    interceptors: [calls.interceptor],
  });
  for (const service of services) server.addService(definition(service), implementation(service, context));
  return server;
}

function definition(service: ServedService): grpc.ServiceDefinition {
  const methods = service.methods.map(({ method, path, kind }) => {
    const attributes: grpc.MethodDefinition<Uint8Array, Uint8Array> = {
      path: `/${path}`,
      requestStream: kind === 'bidi_streaming',
      responseStream: kind !== 'unary',
      requestSerialize: toBuffer,
      requestDeserialize: (bytes) => bytes,
      responseSerialize: toBuffer,
      responseDeserialize: (bytes) => bytes,
    };
    return [method.name, attributes] as const;
  });
  return Object.fromEntries(methods);
}

function implementation({ methods }: ServedService, context: Context): grpc.UntypedServiceImplementation {
  return Object.fromEntries(methods.map((method) => [method.method.name, handler(method, context)] as const));
}

function handler(method: ServedMethod, context: Context): grpc.UntypedHandleCall {
  const { calls, decoder, idleMs } = context;
  const begin = (call: AnyCall): GrpcCall => {
    const admitted = calls.take(call.metadata);
    call.once('cancelled', () => admitted.open.cancel());
    return admitted;
  };
  switch (method.kind) {
    case 'unary':
      return (call: AnyUnary, callback: grpc.sendUnaryData<Uint8Array>) => {
        void answerUnary(method, call, begin(call), context, callback);
      };
    case 'server_streaming':
      return (call: AnyServerStream) => {
        const { open } = begin(call);
        void answerStream(method, call, open, idleMs, () =>
          method.run(decoder.binary(method.method.input, call.request), open.call),
        );
      };
    case 'bidi_streaming':
      return (call: AnyBidi) => {
        const admitted = begin(call);
        const { open } = admitted;
        void answerStream(method, call, open, idleMs, () =>
          method.run(requestsOf(method, call, admitted, decoder), open.call),
        );
      };
  }
}

/** Never rejects: errors are sent to the caller. */
async function answerUnary(
  method: Extract<ServedMethod, { kind: 'unary' }>,
  call: AnyUnary,
  { open, answer }: GrpcCall,
  { decoder, maxBytes }: Context,
  callback: grpc.sendUnaryData<Uint8Array>,
): Promise<void> {
  try {
    const { signal } = open.call;
    signal.throwIfAborted();
    const request = await decoder.binaryInTurn(method.method.input, call.request, signal);
    const response = await method.run(request, open.call);
    const bytes = encode(method, response);
    if (bytes.byteLength > maxBytes) {
      const what = `The answer has ${bytes.byteLength} bytes; the largest message has ${maxBytes}. Request less per call.`;
      throw new InferenceError('MESSAGE_TOO_LARGE', what);
    }
    answer(bytes.byteLength);
    open.finish();
    callback(null, bytes);
  } catch (error) {
    const wire = open.finish(error);
    if (wire !== undefined) callback(toGrpcStatus(wire));
  }
}

/** Never rejects: an error ends the stream with its status. */
async function answerStream(
  method: Extract<ServedMethod, { kind: 'server_streaming' | 'bidi_streaming' }>,
  call: AnyServerStream | AnyBidi,
  open: OpenCall,
  idleMs: number,
  run: () => AsyncIterable<Parameters<typeof create>[1]>,
): Promise<void> {
  // A stream with a dead peer emits late errors; unhandled, they would end the process.
  call.on('error', () => open.cancel());
  try {
    open.call.signal.throwIfAborted();
    for await (const response of run()) {
      if (!call.write(encode(method, response))) await drained(call, open.call.signal, idleMs);
      open.call.signal.throwIfAborted();
    }
    open.finish();
    call.end();
  } catch (error) {
    const wire = open.finish(error);
    if (wire !== undefined) call.emit('error', toGrpcStatus(wire));
  }
}

/** The caller's messages; throws the call's reason when the call has ended. */
async function* requestsOf(
  { method }: ServedMethod,
  call: AnyBidi,
  { open, body, endsWhole }: GrpcCall,
  decoder: MessageDecoder,
) {
  try {
    // Stopping early must not destroy the stream: the response is still sent on it.
    for await (const bytes of call.iterator({ destroyOnReturn: false })) {
      yield decoder.binary(method.input, bytes);
      // The next one is requested, so this one has been consumed.
      body.forget(bytes.byteLength);
    }
  } catch (error) {
    throw open.call.signal.aborted ? open.call.signal.reason : error;
  }
  // A cancelled stream may look like one that ended normally.
  open.call.signal.throwIfAborted();
  if (!endsWhole()) throw new InferenceError('INVALID_ARGUMENT', 'The stream ended in the middle of a message.');
}

function encode(method: ServedMethod, response: Parameters<typeof create>[1]): Uint8Array {
  const { output } = method.method;
  return toBinary(output, create(output, response));
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
