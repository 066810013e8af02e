import { Readable } from 'node:stream';
import { create } from '@bufbuild/protobuf';
import * as contract from '@heimdex/gen';
import { type Model, malformed, provenance, type Timing } from './answers.js';
import { nowMs } from './clock.js';
import { errorOf } from './convert-error.js';
import { type AudioChunks, OpenStream } from './open-stream.js';
import { type Plain, plain } from './plain.js';
import { optionsMessage, rawMessage, type Segment, type TranscribeOptions } from './speech.js';
import type { Caller } from './transport/caller.js';
import { codecOf, serializeOnce } from './transport/codec.js';

/** The last event of a stream. */
export type TranscribeSummary = Omit<Plain<contract.TranscribeSummary>, 'model' | 'timing'> & {
  readonly model: Model;
  readonly timing: Timing;
};

/** The words at the end of live speech that are not final yet. Replaces the previous one; empty: nothing is pending. */
export type TranscribePartial = Plain<contract.TranscribePartial>;

/** Events of a stream, in chronological order. */
export type TranscribeEvent =
  | { readonly type: 'segment'; readonly segment: Segment }
  | { readonly type: 'partial'; readonly partial: TranscribePartial }
  | { readonly type: 'progress'; readonly processedSeconds: number }
  | { readonly type: 'summary'; readonly summary: TranscribeSummary };

const METHOD = 'TranscribeStream';
const codec = codecOf(contract.InferenceService.method.transcribeStream);

/**
 * Calls TranscribeStream. Chunks are read no faster than the server accepts them. If `audio` is a function, the call can
 * be retried on another server until the first response; a stream is closed in any case.
 */
export async function* transcribeStream(
  caller: Caller,
  audio: AudioChunks | (() => AudioChunks),
  options: TranscribeOptions,
): AsyncGenerator<TranscribeEvent, void, void> {
  try {
    yield* eventsOf(caller, audio, options);
  } finally {
    // A call that fails before it reads would leave the stream's file or connection open. It may fail to open as well, which nobody awaits.
    if (audio instanceof Readable) audio.on('error', () => undefined).destroy();
    else if (audio instanceof ReadableStream) audio.cancel().catch(() => undefined);
  }
}

async function* eventsOf(
  caller: Caller,
  audio: AudioChunks | (() => AudioChunks),
  options: TranscribeOptions,
): AsyncGenerator<TranscribeEvent, void, void> {
  const idleTimeoutMs = caller.timeoutMs(METHOD, options);
  const start = create(contract.TranscribeStartSchema, { ...rawMessage(options), options: optionsMessage(options) });
  // Of a value that does not fit its field, gRPC would only say that the message cannot be serialized.
  serializeOnce(codec, create(contract.TranscribeStreamRequestSchema, { message: { case: 'start', value: start } }));
  const startMs = nowMs();
  let attempts = 0;
  const plan = {
    name: METHOD,
    call: options,
    deadlineMs: Number.POSITIVE_INFINITY,
    connectMs: idleTimeoutMs,
    mayRetry: () => typeof audio === 'function' || attempts === 0,
  } as const;
  yield* caller.streamInScope(options.signal, async function* (scope) {
    const { stream, first, address } = await caller.attempts(
      plan,
      scope,
      async ({ endpoint, metadata, deadlineMs }) => {
        // The time spent on connecting counts towards the first response.
        const leftMs = attempts > 0 ? idleTimeoutMs : Math.max(1, idleTimeoutMs - (nowMs() - startMs));
        const duplex = endpoint.duplex(codec, metadata, deadlineMs);
        attempts += 1;
        const opened = new OpenStream(duplex, start, audio, { ms: idleTimeoutMs, firstMs: leftMs }, scope.signal);
        return { stream: opened, first: await opened.next(), address: endpoint.address };
      },
    );
    try {
      let last: TranscribeEvent | undefined;
      for (let answer = first; answer !== undefined; answer = await stream.next()) {
        const event = eventOf(answer);
        if (event === undefined) continue;
        last = event;
        yield event;
      }
      // Cut off on the way: what is missing would go unseen.
      if (last?.type !== 'summary') throw malformed(METHOD, 'it ended without its summary');
    } catch (thrown) {
      if (scope.signal.aborted) throw scope.error(METHOD);
      throw errorOf(thrown, { method: METHOD, address, attempts });
    } finally {
      stream.end();
    }
  });
}

/** Undefined for a kind of message that a later server may send. */
function eventOf({ message }: contract.TranscribeStreamResponse): TranscribeEvent | undefined {
  switch (message.case) {
    case 'segment':
      return { type: 'segment', segment: plain(message.value) };
    case 'partial':
      return { type: 'partial', partial: plain(message.value) };
    case 'progress':
      return { type: 'progress', processedSeconds: message.value.processedSeconds };
    case 'summary':
      return { type: 'summary', summary: { ...plain(message.value), ...provenance(message.value) } };
    default:
      return undefined;
  }
}
