import { toBinary } from '@bufbuild/protobuf';
import grpc from '@grpc/grpc-js';
import { StatusSchema } from '@heimdex/gen';
import { toStatus, type WireError } from '../../services/errors.js';

/** Carries the error's google.rpc.Status, which all gRPC libraries read. */
const STATUS_DETAILS = 'grpc-status-details-bin';

/** Converts an error to grpc-js's form. */
export function toGrpcStatus(wire: WireError): grpc.StatusObject {
  const metadata = new grpc.Metadata();
  metadata.set(STATUS_DETAILS, Buffer.from(toBinary(StatusSchema, toStatus(wire))));
  return { code: wire.grpcCode, details: wire.message, metadata };
}
