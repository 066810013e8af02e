/**
 * What stands before every native gRPC call, reflection included: the gate, a bound on how long a request may take to arrive, and that
 * it arrives whole. What cannot be decompressed, and a request of reflection that is none, grpc-js answers INTERNAL before anything of
 * ours sees it; that is what gRPC's own table (grpc/doc/statuscodes.md) says of both, and what grpc-go does.
 */
import { toBinary } from '@bufbuild/protobuf';
import grpc from '@grpc/grpc-js';
import { StatusSchema } from '@heimdex/gen';
import { InferenceError } from '../errors.js';
import { toStatus, type WireError } from '../services/errors.js';
import type { CallDesk } from './desk.js';
import { widenWindows } from './flow-window.js';
import type { Gate } from './gate.js';
import { watchFrames } from './whole-frames.js';

/** A call of one request must have sent it whole within this; the same as on the HTTP/1.1 side. */
export const REQUEST_TIMEOUT_MS = 120_000;

/** Carries the error's google.rpc.Status, as every gRPC library reads it. */
const STATUS_DETAILS = 'grpc-status-details-bin';

export function guardCalls(gate: Gate, desk: CallDesk, requestTimeoutMs = REQUEST_TIMEOUT_MS): grpc.ServerInterceptor {
  return (method, call) => {
    widenWindows(call);
    const path = method.path.slice(1);
    let header: (name: string) => string | undefined = () => undefined;
    const refuse = (error: InferenceError) => {
      call.sendStatus(toGrpcStatus(desk.refuse({ path, protocol: 'grpc', peer: call.getPeer(), header }, error)));
    };
    let whole = false;
    let timer: NodeJS.Timeout | undefined;
    return new grpc.ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, pass) => {
            header = (name) => metadata.get(name)[0]?.toString();
            const refusal = gate.refuse(path, header('authorization')) ?? gate.overload(path);
            if (refusal !== undefined) return refuse(refusal);
            if (method.requestStream) watchFrames(call, metadata);
            else timer = setTimeout(() => refuse(tooSlow(requestTimeoutMs)), requestTimeoutMs);
            pass(metadata);
          },
          onReceiveMessage: (message, pass) => {
            whole = true;
            pass(message);
          },
          onReceiveHalfClose: (pass) => {
            clearTimeout(timer);
            if (whole || method.requestStream) pass();
            else refuse(cutShort());
          },
          onCancel: () => clearTimeout(timer),
        }),
    });
  };
}

function tooSlow(ms: number): InferenceError {
  return new InferenceError('DEADLINE_EXCEEDED', `The request did not arrive within ${ms / 1000} seconds.`);
}

/** By itself grpc-js takes it for a call without a message, and answers UNIMPLEMENTED. */
function cutShort(): InferenceError {
  return new InferenceError('INVALID_ARGUMENT', 'Expected one whole message; the request ended before it.');
}

/** An error as grpc-js sends it. */
export function toGrpcStatus(wire: WireError): grpc.StatusObject {
  const metadata = new grpc.Metadata();
  metadata.set(STATUS_DETAILS, Buffer.from(toBinary(StatusSchema, toStatus(wire))));
  return { code: wire.grpcCode, details: wire.message, metadata };
}
