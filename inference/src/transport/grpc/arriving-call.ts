/**
 * A native gRPC call while its request arrives: limits on its messages, their decompression, and a check that they are complete.
 * Messages that cannot be decompressed get INTERNAL, as in gRPC's table (grpc/doc/statuscodes.md) and grpc-go.
 */
import type { ServerHttp2Stream } from 'node:http2';
import grpc from '@grpc/grpc-js';
import { InferenceError } from '../../errors.js';
import { IdleTimer } from '../../process/idle-timer.js';
import { toWireError, type WireError } from '../../services/errors.js';
import { type AdmittedCall, type Incoming, UNREAD_MS } from '../calls/admission.js';
import { cancelled, type OpenCall } from '../calls/call-tracker.js';
import { type Decompressor, isGrpcEncoding } from '../messages/decompress.js';
import { cutShort, FrameDecoder } from '../messages/frame-decoder.js';
import { ENVELOPE_BYTES } from '../messages/message-buffer.js';
import { toGrpcStatus } from './status.js';

/** grpc-js's name for a message that is not compressed. */
const UNCOMPRESSED = 'identity';
const UNKNOWN_COMPRESSION = 'The message is marked as compressed, and no grpc-encoding header says how.';

/** An admitted call, for its handler. */
export interface GrpcCall extends AdmittedCall {
  /** Whether only complete messages have arrived so far. */
  endsWhole(): boolean;
}

export interface ArrivingCallOptions {
  readonly decompressor: Decompressor;
  /** Idle timeout of a caller that does not read a stream's responses, and of one of reflection. */
  readonly streamIdleMs: number;
}

/** Private parts of grpc-js. The version is pinned, and tests fail if they differ. */
interface Internals {
  readonly stream: ServerHttp2Stream;
  readonly deadlineTimer: NodeJS.Timeout | null;
  decoder: { write(bytes: Buffer): Buffer[] };
  decompressMessage(message: Buffer, encoding: string): Buffer | Promise<Buffer>;
}

export function internalsOf(call: grpc.ServerInterceptingCallInterface): Internals {
  return call as unknown as Internals;
}

/** An arriving call, and what it holds until its stream is closed. */
export class ArrivingCall {
  readonly incoming: Incoming;
  readonly #open: OpenCall | undefined;
  readonly #call: grpc.ServerInterceptingCallInterface;
  readonly #stream: ServerHttp2Stream;
  readonly #frames: FrameDecoder;
  readonly #decompressor: Decompressor;
  /** Created by the first compressed message: most calls have none. */
  #gone: AbortController | undefined;
  #taken = false;
  #answered = false;
  #unread: NodeJS.Timeout | undefined;
  #idle: IdleTimer | undefined;

  /** @param open undefined for a call of reflection, which nobody tracks */
  constructor(
    call: grpc.ServerInterceptingCallInterface,
    incoming: Incoming,
    open: OpenCall | undefined,
    { decompressor, streamIdleMs }: ArrivingCallOptions,
  ) {
    const internals = internalsOf(call);
    const { stream } = internals;
    this.#call = call;
    this.#stream = stream;
    this.#decompressor = decompressor;
    this.incoming = incoming;
    this.#open = open;
    this.#frames = new FrameDecoder(incoming.body);
    internals.decoder = { write: (bytes) => this.#decode(bytes) };
    stream.once('close', () => {
      clearTimeout(this.#unread);
      this.#idle?.clear();
      this.#frames.clear();
      open?.cancel();
      incoming.close();
      this.#gone?.abort(cancelled());
    });
    const original = internals.decompressMessage.bind(call);
    internals.decompressMessage = (message, encoding) => this.#unpack(message, encoding, original);
    // The handler of reflection would wait for ever.
    if (open === undefined) this.#idle = new IdleTimer(streamIdleMs, () => this.fail(idle(streamIdleMs)));
    else this.#endAtAbort(open.call.signal);
  }

  /**
   * Slow request or lost caller: without a handler, nothing else ends the call. Deadline: a handler may wait for a message. grpc-js's own
   * timer would send a status without details, and would not end the upload.
   */
  #endAtAbort(signal: AbortSignal): void {
    clearTimeout(internalsOf(this.#call).deadlineTimer ?? undefined);
    signal.addEventListener('abort', () => {
      const { reason } = signal;
      if (!this.#taken || reason.code === 'DEADLINE_EXCEEDED') this.fail(reason);
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

  /** Ends the call with an error, whether or not a handler has it. */
  fail(error: InferenceError): void {
    if (this.#taken) this.#open?.stop(error);
    const wire = this.#open === undefined ? toWireError(error) : this.#open.finish(error);
    if (wire !== undefined) this.#call.sendStatus(toGrpcStatus(wire));
  }

  /**
   * The request ended before its message was complete: grpc-js would answer UNIMPLEMENTED, as for a call without one. A cancelling caller also
   * ends it; the two can be told apart one turn later.
   */
  endedEarly(): void {
    setImmediate(() => {
      const gone = this.#stream.aborted || this.#stream.destroyed;
      if (gone) this.#open?.cancel();
      else this.fail(cutShort());
    });
  }

  /** The status is being sent. */
  answered(): void {
    // Discards what still arrives of the request.
    if (!this.#answered) this.incoming.answer(0);
    // A closed stream would not stop the timer, which would keep the call and its message in memory.
    if (!this.#stream.closed) this.#unread ??= setTimeout(() => this.#stream.destroy(), UNREAD_MS);
  }

  /** Replaces grpc-js's decoder. grpc-js sends the errors thrown here, unless already answered. */
  #decode(bytes: Buffer): Buffer[] {
    try {
      this.#idle?.refresh();
      const messages = this.#frames.write(bytes);
      // After a message grpc-js stops reading by itself.
      if (messages.length === 0) this.incoming.body.pace(bytes.byteLength, this.#stream);
      return messages;
    } catch (error) {
      if (error instanceof InferenceError) this.fail(error);
      throw error;
    }
  }

  /** Replaces grpc-js's decompression, which has no size limit. grpc-js calls it for every message, compressed or not. */
  async #unpack(message: Buffer, encoding: string, original: Internals['decompressMessage']): Promise<Buffer> {
    try {
      if (encoding === UNCOMPRESSED && message[0] !== 0) throw new Error(`flags ${message[0]}`);
      const bytes =
        encoding === UNCOMPRESSED
          ? message.subarray(ENVELOPE_BYTES)
          : await this.#decompress(message, encoding, original);
      this.incoming.body.keep(bytes.byteLength);
      return bytes;
    } catch (error) {
      if (error instanceof InferenceError) {
        this.fail(error);
        throw { code: grpc.status.RESOURCE_EXHAUSTED, details: error.message };
      }
      const isPlain = encoding === UNCOMPRESSED;
      const unreadable = new InferenceError(
        'INVALID_ARGUMENT',
        isPlain ? UNKNOWN_COMPRESSION : `The message cannot be decompressed as ${encoding}.`,
      );
      if (!isPlain && !isGrpcEncoding(encoding)) this.#open?.finish(unreadable, 'UNIMPLEMENTED');
      else throw statusOf(this.#open?.finish(unreadable, 'INTERNAL'));
      throw error;
    }
  }

  async #decompress(message: Buffer, encoding: string, original: Internals['decompressMessage']): Promise<Buffer> {
    if (!isGrpcEncoding(encoding)) return original(message, encoding);
    this.#gone ??= new AbortController();
    if (this.#stream.closed) this.#gone.abort(cancelled());
    const { body } = this.incoming;
    const priority = this.#open?.call.priority ?? 'interactive';
    return this.#decompressor.unpack(message.subarray(ENVELOPE_BYTES), encoding, body, {
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

function idle(ms: number): InferenceError {
  return new InferenceError('DEADLINE_EXCEEDED', `No request arrived for ${ms / 1000} seconds.`);
}
