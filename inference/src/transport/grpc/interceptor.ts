/**
 * Wraps every native gRPC call, including reflection: admission, then limits while the request arrives (arriving-call.ts). grpc-js
 * answers invalid reflection requests with INTERNAL.
 */
import grpc from '@grpc/grpc-js';
import type { InferenceError } from '../../errors.js';
import { methodsByPath, type ServedService } from '../../services/service.js';
import type { CallAdmission } from '../calls/admission.js';
import { type CallTracker, REQUEST_ID, requestIdOf } from '../calls/call-tracker.js';
import { endUpload } from '../calls/end-upload.js';
import { MAX_PROBES, OpenStreams } from '../calls/open-streams.js';
import { severalMessages } from '../messages/frame-decoder.js';
import { ArrivingCall, type ArrivingCallOptions, type GrpcCall, internalsOf } from './arriving-call.js';
import { toGrpcStatus } from './status.js';

/** grpc-js does not export its name. */
type Status = Parameters<grpc.ServerInterceptingCallInterface['sendStatus']>[0];

export interface GrpcCallsOptions extends ArrivingCallOptions {
  readonly services: readonly ServedService[];
  readonly admission: CallAdmission;
  readonly callTracker: CallTracker;
}

export interface GrpcCalls {
  readonly interceptor: grpc.ServerInterceptor;
  /**
   * The call of these metadata, the only object shared by interceptors and handlers in grpc-js. The handler finishes
   * the call.
   */
  take(metadata: grpc.Metadata): GrpcCall;
}

export function grpcCalls(options: GrpcCallsOptions): GrpcCalls {
  const { services, admission, callTracker } = options;
  const methods = methodsByPath(services);
  const waiting = new WeakMap<grpc.Metadata, () => GrpcCall>();
  const probes = new OpenStreams(MAX_PROBES);
  const interceptor: grpc.ServerInterceptor = (method, call) => {
    const { stream } = internalsOf(call);
    const path = method.path.slice(1);
    /** Undefined for reflection. */
    const served = methods.get(path);
    // Read now: a closed connection no longer has an address.
    const peer = call.getPeer();
    const streaming = method.requestStream;
    // grpc-js keeps it with the call, and does not check that there is one.
    const hostBytes = ((call.getHost() as string | undefined) ?? '').length;
    let messages = 0;
    let arriving: ArrivingCall | undefined;
    /** Of the call's log line: the caller's, or a new one. */
    let id: string | undefined;
    const send = call.sendStatus.bind(call);
    // grpc-js calls it for errors of its own as well.
    call.sendStatus = (status) => {
      arriving?.answered();
      send(id === undefined ? status : withId(status, id));
      // Where it precedes the end of the request, as grpc-go does. If other headers were sent before, the status is still being sent.
      if (stream.sentHeaders?.['grpc-status'] !== undefined) endUpload(stream);
    };
    return new grpc.ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, pass) => {
            if (served?.skipAccessLog === false) {
              id = requestIdOf(metadata.get(REQUEST_ID)[0]?.toString());
              metadata.set(REQUEST_ID, id);
            }
            const header = (name: string) => metadata.get(name)[0]?.toString();
            const arrival = {
              path,
              protocol: 'grpc',
              peer,
              timeoutMs: timeoutMsOf(call),
              skipAccessLog: served?.skipAccessLog ?? false,
              headerBytes: bytesOf(metadata) + hostBytes,
              header,
            } as const;
            try {
              if (served !== undefined) {
                const admitted = admission.admit(arrival, { streaming });
                arriving = new ArrivingCall(call, admitted, admitted.open, options);
              } else {
                const incoming = admission.receive(arrival, { streaming, small: true });
                arriving = new ArrivingCall(call, incoming, undefined, options);
              }
            } catch (error) {
              return call.sendStatus(toGrpcStatus(callTracker.refuse(arrival, error as InferenceError)));
            }
            if (arrival.skipAccessLog) probes.add(stream);
            const { take } = arriving;
            waiting.set(metadata, () => {
              if (method.responseStream) probes.delete(stream);
              return take();
            });
            pass(metadata);
          },
          onReceiveMessage: (message, pass) => {
            messages += 1;
            if (messages === 1 || streaming) pass(message);
            else arriving?.fail(severalMessages());
          },
          onReceiveHalfClose: (pass) => {
            arriving?.incoming.body.end();
            if (messages > 0 || streaming) pass();
            else arriving?.endedEarly();
          },
        }),
    });
  };
  return {
    interceptor,
    take: (metadata) => {
      const take = waiting.get(metadata);
      if (take === undefined) throw new Error('a handler was called for a call that was not admitted');
      return take();
    },
  };
}

function withId(status: Status, id: string): Status {
  const metadata = status.metadata ?? new grpc.Metadata();
  metadata.set(REQUEST_ID, id);
  return { ...status, metadata };
}

/** A header that refers to one before it has a byte on the connection, and up to 4 KiB here. */
function bytesOf(metadata: grpc.Metadata): number {
  let bytes = 0;
  for (const [name, values] of Object.entries(metadata.toJSON())) {
    for (const value of values) bytes += name.length + value.length;
  }
  return bytes;
}

function timeoutMsOf(call: grpc.ServerInterceptingCallInterface): number {
  const deadline = call.getDeadline();
  return (typeof deadline === 'number' ? deadline : deadline.getTime()) - Date.now();
}
