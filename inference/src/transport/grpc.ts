/** Native gRPC: the services on grpc-js, with the codecs of the generated messages. */
import type { EventEmitter } from 'node:events';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import grpc from '@grpc/grpc-js';
import { InferenceError } from '../errors.js';
import type { ServedMethod, ServedService } from '../services/service.js';
import type { CallDesk, OpenCall } from './desk.js';
import type { Gate } from './gate.js';
import { guardCalls, toGrpcStatus } from './guard.js';
import { endsWhole } from './whole-frames.js';

export interface GrpcLimits {
  /** Largest message in and out. */
  readonly maxMessageBytes: number;
  readonly maxConcurrentStreams: number;
  /** A connection is ended gently when it is this old, so that callers spread over new servers. 0: never. */
  readonly maxConnectionAgeMs: number;
  /** A caller that reads nothing of a stream's answers for so long is given up. */
  readonly streamIdleMs: number;
}

/** Requests arrive as bytes: decoding them is the handler's, so that a broken message gets a clear answer. */
type AnyUnary = grpc.ServerUnaryCall<Buffer, Uint8Array>;
type AnyServerStream = grpc.ServerWritableStream<Buffer, Uint8Array>;
type AnyBidi = grpc.ServerDuplexStream<Buffer, Uint8Array>;
type AnyCall = EventEmitter & Pick<AnyUnary, 'getDeadline' | 'getPeer' | 'metadata'>;

export function createGrpcServer(
  services: readonly ServedService[],
  desk: CallDesk,
  gate: Gate,
  limits: GrpcLimits,
): grpc.Server {
  const server = new grpc.Server({
    'grpc.max_receive_message_length': limits.maxMessageBytes,
    'grpc.max_send_message_length': limits.maxMessageBytes,
    'grpc.max_concurrent_streams': limits.maxConcurrentStreams,
    // A peer that is gone without a word is found out within a minute and a half.
    'grpc.keepalive_time_ms': 60_000,
    'grpc.keepalive_timeout_ms': 20_000,
    'grpc.max_connection_idle_ms': 30 * 60_000,
    'grpc.enable_channelz': 0,
    ...(limits.maxConnectionAgeMs > 0 ? { 'grpc.max_connection_age_ms': limits.maxConnectionAgeMs } : {}),
    interceptors: [guardCalls(gate, desk)],
  });
  for (const service of services)
    server.addService(definition(service), implementation(service, desk, limits.streamIdleMs));
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

function implementation(service: ServedService, desk: CallDesk, idleMs: number): grpc.UntypedServiceImplementation {
  const handlers = service.methods.map(
    (method) => [method.method.name, handler(method, service.quiet, desk, idleMs)] as const,
  );
  return Object.fromEntries(handlers);
}

function handler(method: ServedMethod, quiet: boolean, desk: CallDesk, idleMs: number): grpc.UntypedHandleCall {
  const begin = (call: AnyCall): OpenCall => {
    const deadline = call.getDeadline();
    const open = desk.open({
      path: method.path,
      protocol: 'grpc',
      peer: call.getPeer(),
      timeoutMs: typeof deadline === 'number' ? deadline - Date.now() : deadline.getTime() - Date.now(),
      quiet,
      header: (name) => call.metadata.get(name)[0]?.toString(),
    });
    call.once('cancelled', () => open.cancel());
    return open;
  };
  switch (method.kind) {
    case 'unary':
      return (call: AnyUnary, callback: grpc.sendUnaryData<Uint8Array>) => {
        void answerUnary(method, call, begin(call), callback);
      };
    case 'server_streaming':
      return (call: AnyServerStream) => {
        const open = begin(call);
        void answerStream(method, call, open, idleMs, () => method.run(decode(method, call.request), open.call));
      };
    case 'bidi_streaming':
      return (call: AnyBidi) => {
        const open = begin(call);
        void answerStream(method, call, open, idleMs, () => method.run(requestsOf(method, call, open), open.call));
      };
  }
}

/** Never rejects: an error is the caller's answer. */
async function answerUnary(
  method: Extract<ServedMethod, { kind: 'unary' }>,
  call: AnyUnary,
  open: OpenCall,
  callback: grpc.sendUnaryData<Uint8Array>,
): Promise<void> {
  try {
    open.call.signal.throwIfAborted();
    const response = await method.run(decode(method, call.request), open.call);
    const bytes = encode(method, response);
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
  // A stream whose peer is gone emits errors after everything was said; unheard, they would end the process.
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

/** Waits until the caller has read; rejects when nobody will, or nobody does for `idleMs`. */
function drained(call: AnyServerStream | AnyBidi, signal: AbortSignal, idleMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const forget = () => {
      clearTimeout(timer);
      call.off('drain', onDrain);
      signal.removeEventListener('abort', onAbort);
    };
    const onDrain = () => {
      forget();
      resolve();
    };
    const onAbort = () => {
      forget();
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      forget();
      reject(new InferenceError('DEADLINE_EXCEEDED', `No answer was read for ${idleMs / 1000} seconds.`));
    }, idleMs);
    if (signal.aborted) return onAbort();
    call.on('drain', onDrain);
    signal.addEventListener('abort', onAbort);
  });
}

/** The caller's messages; ends with the call's own reason when the call is over. */
async function* requestsOf(method: ServedMethod, call: AnyBidi, open: OpenCall) {
  try {
    // Leaving off to read must not destroy the stream: the answer still goes out on it.
    for await (const bytes of call.iterator({ destroyOnReturn: false })) yield decode(method, bytes);
  } catch (error) {
    throw open.call.signal.aborted ? open.call.signal.reason : error;
  }
  // A cancelled stream may look like one that ended well.
  open.call.signal.throwIfAborted();
  if (!endsWhole(call.metadata)) {
    throw new InferenceError('INVALID_ARGUMENT', 'The stream ended in the middle of a message.');
  }
}

function decode(method: ServedMethod, bytes: Uint8Array) {
  try {
    return fromBinary(method.method.input, bytes);
  } catch (error) {
    throw new InferenceError('INVALID_ARGUMENT', `The request is no ${method.method.input.typeName}.`, {
      cause: error,
    });
  }
}

function encode(method: ServedMethod, response: Parameters<typeof create>[1]): Uint8Array {
  const { output } = method.method;
  return toBinary(output, create(output, response));
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
