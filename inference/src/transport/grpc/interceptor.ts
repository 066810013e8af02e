/**
 * Wraps every native gRPC call, including reflection: admission, limits on messages while they arrive and decompress,
 * and a check that they are complete. Messages that cannot be decompressed get INTERNAL, as in gRPC's table
 * (grpc/doc/statuscodes.md) and grpc-go; so do invalid reflection requests, by grpc-js.
 */
import { constants, type ServerHttp2Stream } from 'node:http2';
import grpc from '@grpc/grpc-js';
import { InferenceError } from '../../errors.js';
import { IdleTimer } from '../../process/idle-timer.js';
import { toWireError, type WireError } from '../../services/errors.js';
import type { ServedService } from '../../services/service.js';
import type { AdmittedCall, CallAdmission, Incoming } from '../calls/admission.js';
import type { Arrival, CallTracker, OpenCall } from '../calls/call-tracker.js';
import { type Decompressor, isGrpcEncoding } from '../messages/decompress.js';
import { widenWindows } from './flow-window.js';
import { Probes } from './probes.js';
import { toGrpcStatus } from './status.js';
import { FrameDecoder } from './whole-frames.js';

/** Timeout of a response that is not read. */
const UNREAD_MS = 120_000;
/** Compression flag and length: the prefix of a message. */
const HEAD_BYTES = 5;
/** grpc-js's name for a message that is not compressed. */
const UNCOMPRESSED = 'identity';

export interface GrpcCallsOptions {
  readonly services: readonly ServedService[];
  readonly admission: CallAdmission;
  readonly callTracker: CallTracker;
  readonly decompressor: Decompressor;
  /** Idle timeout of a caller of reflection. */
  readonly streamIdleMs: number;
}

/** An admitted call, for its handler. */
export interface GrpcCall extends AdmittedCall {
  /** Whether only complete messages have arrived so far. */
  endsWhole(): boolean;
}

export interface GrpcCalls {
  readonly interceptor: grpc.ServerInterceptor;
  /**
   * The call of these metadata, the only object shared by interceptors and handlers in grpc-js. The handler finishes
   * the call.
   */
  take(metadata: grpc.Metadata): GrpcCall;
}

/** Private parts of grpc-js. The version is pinned, and tests fail if they differ. */
interface Internals {
  readonly stream: ServerHttp2Stream;
  decoder: { write(bytes: Buffer): Buffer[] };
  decompressMessage(message: Buffer, encoding: string): Buffer | Promise<Buffer>;
}

export function grpcCalls(options: GrpcCallsOptions): GrpcCalls {
  const { services, admission, callTracker, decompressor, streamIdleMs } = options;
  const skipAccessLog = new Map(
    services.flatMap(({ methods, skipAccessLog }) => methods.map(({ path }) => [path, skipAccessLog] as const)),
  );
  const waiting = new WeakMap<grpc.Metadata, () => GrpcCall>();
  const probes = new Probes();
  const interceptor: grpc.ServerInterceptor = (method, call) => {
    widenWindows(call);
    const { stream } = call as unknown as Internals;
    const path = method.path.slice(1);
    // Read now: a closed connection no longer has an address.
    const peer = call.getPeer();
    const streaming = method.requestStream;
    let messages = 0;
    let arriving: ArrivingCall | undefined;
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
              arriving = admitted({ ...arrival, timeoutMs: timeoutMsOf(call) }, skipAccessLog.has(path), streaming);
            } catch (error) {
              call.sendStatus(toGrpcStatus(callTracker.refuse(arrival, error as InferenceError)));
              return endUpload(stream);
            }
            arriving.follow(call, streamIdleMs);
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
            pass(message);
          },
          onReceiveHalfClose: (pass) => {
            arriving?.incoming.body.end();
            if (messages > 0 || streaming) pass();
            else arriving?.endedEarly();
          },
        }),
      sendStatus: (status, next) => {
        arriving?.answered();
        next(status);
        endUpload(stream);
      },
    });
  };
  const admitted = (arrival: Arrival, known: boolean, streaming: boolean): ArrivingCall => {
    if (!known)
      return new ArrivingCall(admission.receive(arrival, { streaming, small: true }), undefined, decompressor);
    const call = admission.admit(arrival, { streaming });
    return new ArrivingCall(call, call.open, decompressor);
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

/** An arriving call, and what it holds until its stream is closed. */
class ArrivingCall {
  readonly incoming: Incoming;
  readonly #open: OpenCall | undefined;
  readonly #frames: FrameDecoder;
  readonly #decompressor: Decompressor;
  /** Created by the first compressed message: most calls have none. */
  #gone: AbortController | undefined;
  #call: grpc.ServerInterceptingCallInterface | undefined;
  #stream: ServerHttp2Stream | undefined;
  #taken = false;
  #answered = false;
  #unread: NodeJS.Timeout | undefined;
  #idle: IdleTimer | undefined;

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

  follow(call: grpc.ServerInterceptingCallInterface, idleMs: number): void {
    const internals = call as unknown as Internals;
    const { stream } = internals;
    this.#call = call;
    this.#stream = stream;
    internals.decoder = { write: (bytes) => this.#decode(bytes) };
    stream.once('close', () => {
      clearTimeout(this.#unread);
      this.#idle?.clear();
      this.#frames.clear();
      this.#open?.cancel();
      this.incoming.close();
      this.#gone?.abort(new InferenceError('CANCELLED', 'The caller cancelled the call.'));
    });
    const original = internals.decompressMessage.bind(call);
    internals.decompressMessage = (message, encoding) => this.#unpack(message, encoding, original);
    // Deadline, slow request or lost caller: without a handler, nothing else ends the call.
    const { signal } = this.#open?.call ?? {};
    signal?.addEventListener('abort', () => {
      if (!this.#taken) this.fail(signal.reason);
    });
    // The handler of reflection would wait for ever.
    if (this.#open === undefined) this.#idle = new IdleTimer(idleMs, () => this.fail(idle(idleMs)));
  }

  /** Ends the call with an error, whether or not a handler has it. */
  fail(error: InferenceError): void {
    if (this.#taken) this.#open?.stop(error);
    const wire = this.#open === undefined ? toWireError(error) : this.#open.finish(error);
    this.answered();
    if (wire !== undefined) this.#call?.sendStatus(toGrpcStatus(wire));
    endUpload(this.#stream);
  }

  /** The request ended incomplete. A cancelling caller also ends it; the two can be told apart one turn later. */
  endedEarly(): void {
    setImmediate(() => {
      const gone = this.#stream?.aborted === true || this.#stream?.destroyed === true;
      if (gone) this.#open?.cancel();
      else this.fail(cutShort());
    });
  }

  /** The status is being sent. */
  answered(): void {
    // Discards what still arrives of the request.
    if (!this.#answered) this.incoming.answer(0);
    // A closed stream would not stop the timer, which would keep the call and its message in memory.
    if (this.#stream?.closed !== true) this.#unread ??= setTimeout(() => this.#stream?.destroy(), UNREAD_MS);
  }

  /** Replaces grpc-js's decoder. grpc-js sends the errors thrown here, unless already answered. */
  #decode(bytes: Buffer): Buffer[] {
    try {
      this.#idle?.refresh();
      const messages = this.#frames.write(bytes);
      // After a message grpc-js stops reading by itself.
      if (messages.length === 0 && this.#stream !== undefined) this.incoming.body.pace(bytes.byteLength, this.#stream);
      return messages;
    } catch (error) {
      if (error instanceof InferenceError) this.fail(error);
      throw error;
    }
  }

  /** Replaces grpc-js's decompression, which has no size limit. grpc-js calls it for every message, compressed or not. */
  async #unpack(message: Buffer, encoding: string, original: Internals['decompressMessage']): Promise<Buffer> {
    try {
      const bytes =
        encoding === UNCOMPRESSED ? message.subarray(HEAD_BYTES) : await this.#decompress(message, encoding, original);
      this.incoming.body.keep(bytes.byteLength);
      return bytes;
    } catch (error) {
      if (error instanceof InferenceError) {
        this.fail(error);
        throw { code: grpc.status.RESOURCE_EXHAUSTED, details: error.message };
      }
      const unreadable = new InferenceError('INVALID_ARGUMENT', `The message cannot be decompressed as ${encoding}.`);
      if (!isGrpcEncoding(encoding)) this.#open?.finish(unreadable, 'UNIMPLEMENTED');
      else throw statusOf(this.#open?.finish(unreadable, 'INTERNAL'));
      throw error;
    }
  }

  async #decompress(message: Buffer, encoding: string, original: Internals['decompressMessage']): Promise<Buffer> {
    if (!isGrpcEncoding(encoding)) return original(message, encoding);
    this.#gone ??= new AbortController();
    if (this.#stream?.closed === true)
      this.#gone.abort(new InferenceError('CANCELLED', 'The caller cancelled the call.'));
    const { body } = this.incoming;
    const priority = this.#open?.call.priority ?? 'interactive';
    return this.#decompressor.unpack(message.subarray(HEAD_BYTES), encoding, body, {
      signal: this.#gone.signal,
      priority,
    });
  }
}

/** For a call that already has a status, the second one is dropped. */
function statusOf(wire: WireError | undefined): Partial<grpc.StatusObject> {
  return wire === undefined
    ? { code: grpc.status.INTERNAL, details: 'Failed to decompress message' }
    : toGrpcStatus(wire);
}

/**
 * Tells the caller to stop sending after a status that precedes the end of its request, as grpc-go does (RFC 9113,
 * section 8.1).
 */
function endUpload(stream: ServerHttp2Stream | undefined): void {
  // If other headers were sent before, the status is still being sent.
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

/** Otherwise grpc-js treats it as a call without a message and answers UNIMPLEMENTED. */
function cutShort(): InferenceError {
  return new InferenceError('INVALID_ARGUMENT', 'Expected one whole message; the request ended before it.');
}

function idle(ms: number): InferenceError {
  return new InferenceError('DEADLINE_EXCEEDED', `No request arrived for ${ms / 1000} seconds.`);
}
