/** grpc.reflection.v1 and v1alpha by @grpc/reflection, with the generated descriptors. */
import { createRequire } from 'node:module';
import { type DescFile, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import type grpc from '@grpc/grpc-js';
import { once } from '@heimdex/common';
import { ERROR_DETAIL_TYPES } from '../../services/errors.js';
import type { ServedService } from '../../services/service.js';

type Handler = grpc.handleBidiStreamingCall<unknown, unknown>;

interface Method extends grpc.MethodDefinition<unknown, unknown> {
  readonly handle: Handler;
}

const PATHS = ['v1', 'v1alpha'].map((version) => `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`);

/** Adds the methods. The package and its parts, a fifth of the work of a server's start, are loaded by the first call. */
export function addReflection(server: grpc.Server, services: readonly ServedService[]): void {
  const loaded = once(() => loadMethods(services));
  for (const path of PATHS) {
    const method = () => loaded().get(path) as Method;
    const handle: Handler = (call) => method().handle(call);
    const serialize = (response: unknown) => method().responseSerialize(response);
    const deserialize = (request: Buffer) => method().requestDeserialize(request);
    server.register(path, handle, serialize, deserialize, 'bidi');
  }
}

/** The methods of the package by their paths. */
function loadMethods(services: readonly ServedService[]): ReadonlyMap<string, Method> {
  const { ReflectionService } = createRequire(import.meta.url)('@grpc/reflection') as typeof import('@grpc/reflection');
  const files = new Map<string, DescFile>();
  for (const { service } of services) gather(service.file, files);
  // No message refers to them: they are sent as google.protobuf.Any.
  for (const { file } of ERROR_DETAIL_TYPES) gather(file, files);
  const fileDescriptorProtos = [...files.values()].map(({ proto }) =>
    Buffer.from(toBinary(FileDescriptorProtoSchema, proto)),
  );
  // The package reads descriptors from any entry of a package definition; one entry holds them all.
  const format = 'Protocol Buffer 3 EnumDescriptorProto' as const;
  const descriptors = { format, type: {}, fileDescriptorProtos };
  const methods = new Map<string, Method>();
  const addService: grpc.Server['addService'] = (definition, handlers) => {
    for (const [name, method] of Object.entries(definition)) {
      methods.set(method.path, { ...method, handle: handlers[name] as Handler });
    }
  };
  const names = services.map(({ service }) => service.typeName);
  new ReflectionService({ descriptors }, { services: names }).addToServer({ addService });
  return methods;
}

function gather(file: DescFile, files: Map<string, DescFile>): void {
  if (files.has(file.proto.name)) return;
  files.set(file.proto.name, file);
  for (const dependency of file.dependencies) gather(dependency, files);
}
