/** grpc.reflection.v1 and v1alpha by @grpc/reflection, with the generated descriptors. */
import { type DescFile, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import type grpc from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { ERROR_DETAIL_TYPES } from '../../services/errors.js';
import type { ServedService } from '../../services/service.js';

export function addReflection(server: grpc.Server, services: readonly ServedService[]): void {
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
  const reflection = new ReflectionService(
    { descriptors },
    { services: services.map(({ service }) => service.typeName) },
  );
  reflection.addToServer(server);
}

function gather(file: DescFile, files: Map<string, DescFile>): void {
  if (files.has(file.proto.name)) return;
  files.set(file.proto.name, file);
  for (const dependency of file.dependencies) gather(dependency, files);
}
