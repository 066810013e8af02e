import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  type Message,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { anyPack, durationFromMs } from '@bufbuild/protobuf/wkt';
import {
  Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerOptions,
  type ServiceDefinition,
  type sendUnaryData,
  type status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema, StatusSchema } from '@heimdex/gen';

/** A gRPC server on a real socket, with the test's handlers. */
export interface FakeService {
  readonly address: string;
  readonly port: number;
  /** Shuts down immediately, including open calls. */
  close(): void;
}

export interface FakeServiceOptions {
  readonly host?: string;
  readonly port?: number;
  readonly credentials?: ServerCredentials;
  /** Options of the grpc-js server. */
  readonly options?: ServerOptions;
}

/** Starts a server that implements (parts of) the given services with grpc-js handlers. */
export async function startFakeService(
  services: readonly (readonly [DescService, UntypedServiceImplementation])[],
  { host = '127.0.0.1', port = 0, credentials = ServerCredentials.createInsecure(), options }: FakeServiceOptions = {},
): Promise<FakeService> {
  const server = new Server(options);
  for (const [service, handlers] of services) server.addService(definitionOf(service), handlers);
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, credentials, (error, found) =>
      error === null ? resolve(found) : reject(error),
    );
  });
  return { address: `${host}:${bound}`, port: bound, close: () => server.forceShutdown() };
}

/** A handler that answers every call with the same message. */
export function answering<Desc extends DescMessage>(desc: Desc, message: MessageInitShape<Desc>) {
  return (_call: unknown, reply: sendUnaryData<MessageShape<Desc>>) => reply(null, create(desc, message));
}

export interface FailureOptions {
  readonly reason?: string;
  readonly field?: string;
  readonly retryAfterMs?: number;
}

/** Packs the details of an error as the server does. */
export function detailsOf({ reason, field, retryAfterMs }: FailureOptions) {
  const packed = <Desc extends DescMessage>(desc: Desc, message: MessageInitShape<Desc>) =>
    anyPack(desc, create(desc, message));
  return [
    ...(reason === undefined ? [] : [packed(ErrorInfoSchema, { reason, domain: 'heimdex.inference.v1' })]),
    ...(field === undefined ? [] : [packed(BadRequestSchema, { fieldViolations: [{ field, description: 'wrong' }] })]),
    ...(retryAfterMs === undefined ? [] : [packed(RetryInfoSchema, { retryDelay: durationFromMs(retryAfterMs) })]),
  ];
}

/** Returns an error for a handler to fail a call with. */
export function failure(code: status, text: string, options: FailureOptions = {}) {
  const metadata = new Metadata();
  const details = detailsOf(options);
  if (details.length > 0) {
    const packed = toBinary(StatusSchema, create(StatusSchema, { code, message: text, details }));
    metadata.set('grpc-status-details-bin', Buffer.from(packed));
  }
  return { code, details: text, metadata };
}

function definitionOf(service: DescService): ServiceDefinition {
  return Object.fromEntries(service.methods.map((method) => [method.localName, methodDefinition(method)]));
}

function methodDefinition(method: DescMethod): MethodDefinition<Message, Message> {
  const { methodKind } = method;
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: methodKind === 'bidi_streaming' || methodKind === 'client_streaming',
    responseStream: methodKind === 'bidi_streaming' || methodKind === 'server_streaming',
    requestSerialize: (value) => Buffer.from(toBinary(method.input, value)),
    requestDeserialize: (bytes) => fromBinary(method.input, bytes),
    responseSerialize: (value) => Buffer.from(toBinary(method.output, value)),
    responseDeserialize: (bytes) => fromBinary(method.output, bytes),
  };
}

/** A promise and the function that fulfils it. */
export function deferred<T = void>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((fulfil) => {
    resolve = fulfil;
  });
  return { promise, resolve };
}
