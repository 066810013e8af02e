/**
 * What stands before every native gRPC call, reflection included: admission, the bounds on its messages while they arrive and unpack, and
 * that they arrive whole. What cannot be decompressed is answered INTERNAL, as gRPC's own table (grpc/doc/statuscodes.md) says and as
 * grpc-go does; so does grpc-js with a request of reflection that is none.
 */
import { constants, type ServerHttp2Stream } from 'node:http2';
import { toBinary } from '@bufbuild/protobuf';
import grpc from '@grpc/grpc-js';
import { StatusSchema } from '@heimdex/gen';
import { InferenceError } from '../../errors.js';
import { toStatus, type WireError } from '../../services/errors.js';
import type { ServedService } from '../../services/service.js';
import type { AdmittedCall, CallAdmission, Incoming } from '../calls/admission.js';
import type { Arrival, CallTracker, OpenCall } from '../calls/call-tracker.js';
import { type Decompressor, isEncoding } from '../messages/decompress.js';
import { widenWindows } from './flow-window.js';
import { FrameDecoder } from './whole-frames.js';

/** Carries the error's google.rpc.Status, as every gRPC library reads it. */
const STATUS_DETAILS = 'grpc-status-details-bin';
/** An answer that nobody reads for this long is given up. */
const UNREAD_MS = 120_000;
/** Compressed or not, and the length: what stands before a message. */
const HEAD_BYTES = 5;

export interface GuardOptions {
  readonly services: readonly ServedService[];
  readonly admission: CallAdmission;
  readonly callTracker: CallTracker;
  readonly decompressor: Decompressor;
}

/** A call that was let in, for its handler. */
export interface GrpcCall extends AdmittedCall {
  /** Whether all that has come so far are whole messages. */
  endsWhole(): boolean;
}

export interface GrpcCalls {
  readonly interceptor: grpc.ServerInterceptor;
  /** The call that has these metadata: the one thing that an interceptor and a handler of grpc-js both have. It is the handler's to finish. */
  take(metadata: grpc.Metadata): GrpcCall;
}

/** What grpc-js keeps to itself. The version is pinned, and tests fail where it is not as it is here. */
interface Internals {
  readonly stream: ServerHttp2Stream;
  decoder: { write(bytes: Buffer): Buffer[] };
  decompressMessage(message: Buffer, encoding: string): Buffer | Promise<Buffer>;
}

export function grpcCalls(options: GuardOptions): GrpcCalls {
  const { services, admission, callTracker, decompressor } = options;
  const skipAccessLog = new Map(
    services.flatMap(({ methods, skipAccessLog }) => methods.map(({ path }) => [path, skipAccessLog] as const)),
  );
  const waiting = new WeakMap<grpc.Metadata, () => GrpcCall>();
  const interceptor: grpc.ServerInterceptor = (method, call) => {
    widenWindows(call);
    const path = method.path.slice(1);
    // Asked now: of a connection that is gone the address is not known any more.
    const peer = call.getPeer();
    const streaming = method.requestStream;
    let messages = 0;
    let guarded: Guarded | undefined;
    return new grpc.ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, pass) => {
            const header = (name: string) => metadata.get(name)[0]?.toString();
            const arrival = {
              path,
              protocol: 'grpc',
              peer,
              skipAccessLog: skipAccessLog.get(path) ?? false,
              header,
            } as const;
            try {
              guarded = admitted({ ...arrival, timeoutMs: timeoutMsOf(call) }, skipAccessLog.has(path), streaming);
            } catch (error) {
              call.sendStatus(toGrpcStatus(callTracker.refuse(arrival, error as InferenceError)));
              return endUpload((call as unknown as Internals).stream);
            }
            guarded.follow(call);
            waiting.set(metadata, guarded.take);
            pass(metadata);
          },
          onReceiveMessage: (message, pass) => {
            messages += 1;
            pass(message);
          },
          onReceiveHalfClose: (pass) => {
            guarded?.incoming.body.end();
            if (messages > 0 || streaming) pass();
            else guarded?.endedEarly();
          },
        }),
      sendStatus: (status, next) => {
        guarded?.answered();
        next(status);
        endUpload((call as unknown as Internals).stream);
      },
    });
  };
  const admitted = (arrival: Arrival, known: boolean, streaming: boolean): Guarded => {
    if (!known) return new Guarded(admission.receive(arrival, { streaming, small: true }), undefined, decompressor);
    const call = admission.admit(arrival, { streaming });
    return new Guarded(call, call.open, decompressor);
  };
  return {
    interceptor,
    take: (metadata) => {
      const take = waiting.get(metadata);
      if (take === undefined) throw new Error('a handler was called for a call that was not let in');
      return take();
    },
  };
}

/** One call while it arrives, and what it holds until its stream is closed. */
class Guarded {
  readonly incoming: Incoming;
  readonly #open: OpenCall | undefined;
  readonly #frames: FrameDecoder;
  readonly #decompressor: Decompressor;
  readonly #gone = new AbortController();
  #call: grpc.ServerInterceptingCallInterface | undefined;
  #stream: ServerHttp2Stream | undefined;
  #taken = false;
  #answered = false;
  #unread: NodeJS.Timeout | undefined;

  constructor(incoming: Incoming, open: OpenCall | undefined, decompressor: Decompressor) {
    this.#decompressor = decompressor;
    this.incoming = incoming;
    this.#open = open;
    this.#frames = new FrameDecoder({
      began: (bytes) => incoming.body.announce(bytes),
      received: (bytes) => incoming.body.receive(bytes),
    });
  }

  readonly take = (): GrpcCall => {
    const open = this.#open;
    if (open === undefined) throw new Error('a handler was called for a call that has none');
    this.#taken = true;
    const answer = (bytes: number) => {
      this.#answered = true;
      this.incoming.answer(bytes);
    };
    return { ...this.incoming, answer, open, endsWhole: () => this.#frames.whole };
  };

  follow(call: grpc.ServerInterceptingCallInterface): void {
    const internals = call as unknown as Internals;
    const { stream } = internals;
    this.#call = call;
    this.#stream = stream;
    internals.decoder = { write: (bytes) => this.#decode(bytes) };
    stream.once('close', () => {
      clearTimeout(this.#unread);
      this.#frames.clear();
      this.#open?.cancel();
      this.incoming.close();
      this.#gone.abort(new InferenceError('CANCELLED', 'The caller gave up.'));
    });
    const original = internals.decompressMessage.bind(call);
    internals.decompressMessage = (message, encoding) => this.#unpack(message, encoding, original);
    // Its deadline, a request that comes too slowly, a caller that is gone: while no handler has it, nobody else ends it.
    const { signal } = this.#open?.call ?? {};
    signal?.addEventListener('abort', () => {
      if (!this.#taken) this.fail(signal.reason);
    });
  }

  /** Ends the call with an error, whoever has it. */
  fail(error: InferenceError): void {
    if (this.#taken) this.#open?.stop(error);
    const wire = this.#open?.finish(error);
    this.answered();
    if (wire !== undefined) this.#call?.sendStatus(toGrpcStatus(wire));
    else if (this.#open === undefined)
      this.#call?.sendStatus({ code: grpc.status.RESOURCE_EXHAUSTED, details: error.message });
    endUpload(this.#stream);
  }

  /** The request has ended and is not whole. A caller that gives up ends it as well, and is told apart a turn later. */
  endedEarly(): void {
    setImmediate(() => {
      const gone = this.#stream?.aborted === true || this.#stream?.destroyed === true;
      if (gone) this.#open?.cancel();
      else this.fail(cutShort());
    });
  }

  /** The status is on its way. */
  answered(): void {
    // What still comes of the request is thrown away.
    if (!this.#answered) this.incoming.answer(0);
    // Of a stream that is closed already nothing ends the timer, which would hold the call and its message until then.
    if (this.#stream?.closed !== true) this.#unread ??= setTimeout(() => this.#stream?.destroy(), UNREAD_MS);
  }

  /** In place of grpc-js's own decoder; it answers what this throws, where that is not answered already. */
  #decode(bytes: Buffer): Buffer[] {
    try {
      const messages = this.#frames.write(bytes);
      // After a message grpc-js stops reading by itself.
      if (messages.length === 0 && this.#stream !== undefined) this.incoming.body.pace(bytes.byteLength, this.#stream);
      return messages;
    } catch (error) {
      if (error instanceof InferenceError) this.fail(error);
      throw error;
    }
  }

  /** In place of grpc-js's own, which unpacks whatever comes to its whole size. */
  async #unpack(message: Buffer, encoding: string, original: Internals['decompressMessage']): Promise<Buffer> {
    const { body } = this.incoming;
    try {
      const content = message.subarray(HEAD_BYTES);
      const known = isEncoding(encoding) && encoding !== 'br';
      const bytes = known
        ? await this.#decompressor.unpack(content, encoding, body, this.#gone.signal)
        : await original(message, encoding);
      body.keep(bytes.byteLength);
      return bytes;
    } catch (error) {
      if (error instanceof InferenceError) {
        this.fail(error);
        throw { code: grpc.status.RESOURCE_EXHAUSTED, details: error.message };
      }
      const unreadable = new InferenceError('INVALID_ARGUMENT', `The message cannot be decompressed as ${encoding}.`);
      if (!isEncoding(encoding)) this.#open?.finish(unreadable, 'UNIMPLEMENTED');
      else throw statusOf(this.#open?.finish(unreadable, 'INTERNAL'));
      throw error;
    }
  }
}

/** Of a call that has a status already the second one goes nowhere. */
function statusOf(wire: WireError | undefined): Partial<grpc.StatusObject> {
  return wire === undefined
    ? { code: grpc.status.INTERNAL, details: 'Failed to decompress message' }
    : toGrpcStatus(wire);
}

/** After a status that came before the request was whole: its caller is to stop sending, as servers of grpc-go tell theirs (RFC 9113, section 8.1). */
function endUpload(stream: ServerHttp2Stream | undefined): void {
  // Where other headers went out first the status is still on its way.
  if (stream?.sentHeaders?.['grpc-status'] === undefined) return;
  setImmediate(() => {
    const ended = stream.closed || stream.destroyed;
    if (ended || stream.state.state !== constants.NGHTTP2_STREAM_STATE_HALF_CLOSED_LOCAL) return;
    stream.close(constants.NGHTTP2_NO_ERROR);
  });
}

function timeoutMsOf(call: grpc.ServerInterceptingCallInterface): number {
  const deadline = call.getDeadline();
  return (typeof deadline === 'number' ? deadline : deadline.getTime()) - Date.now();
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
