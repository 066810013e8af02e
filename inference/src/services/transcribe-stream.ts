import type { MessageInitShape } from '@bufbuild/protobuf';
import type { TranscribeStart, TranscribeStreamRequest, TranscribeStreamResponseSchema } from '@heimdex/gen';
import { InferenceError } from '../errors.js';
import type { SpeechEvent } from '../models/speech/speech.js';
import { IdleTimer } from '../process/idle-timer.js';
import type { Call } from './call.js';
import { invalid } from './check.js';
import type { Models, RpcHandler, ServedModel, ServiceLimits } from './engine.js';
import { requireModel } from './features.js';
import { toModel } from './identity.js';
import { roundTime } from './rounding.js';
import { parseRawAudio, parseSpeechOptions } from './speech-options.js';
import { CallTiming } from './timing.js';
import { type AudioSummary, toSegment, transcribeAudio } from './transcription.js';

type Response = MessageInitShape<typeof TranscribeStreamResponseSchema>;

/** TranscribeStream: transcribes an audio file as it arrives. Sends each segment when it is final, and a summary last. */
export function transcribeStream(models: Models, limits: ServiceLimits): RpcHandler<'transcribeStream'> {
  return async function* (requests, call) {
    const model = requireModel(models, 'speech', 'TranscribeStream');
    const next = reader(requests, limits.streamIdleMs, call.signal);
    const start = await readStart(next);
    const audio = new AudioMessages(next, (bytes) => call.retain?.(bytes));
    const audioFile = {
      content: audio,
      raw: parseRawAudio('start.raw', start.raw),
      audioTrack: start.options?.audioTrack,
      options: parseSpeechOptions(start.options),
    };
    const timing = new CallTiming(call);
    try {
      for await (const event of transcribeAudio(model, limits, audioFile, call, timing)) {
        audio.decoding();
        yield toResponse(event, model, timing, call);
      }
    } catch (error) {
      // The decoder wraps an error of its input; the original error is more useful.
      throw audio.failure ?? error;
    }
  };
}

async function readStart(next: NextMessage): Promise<TranscribeStart> {
  const first = await next();
  if (first.done !== true && first.value.message.case === 'start') return first.value.message.value;
  const received = first.done === true ? 'nothing' : (first.value.message.case ?? 'an empty message');
  throw invalid('message', `must be start in the first message of a stream, got ${received}`);
}

/** Reads the next message. */
type NextMessage = () => Promise<IteratorResult<TranscribeStreamRequest>>;

/** Rejects with DEADLINE_EXCEEDED if no message arrives within the idle timeout, with the call's reason when it has ended. */
function reader(messages: AsyncIterable<TranscribeStreamRequest>, idleMs: number, signal: AbortSignal): NextMessage {
  const iterator = messages[Symbol.asyncIterator]();
  return () =>
    new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const ended = () => reject(signal.reason);
      signal.addEventListener('abort', ended, { once: true });
      const timer = new IdleTimer(idleMs, () => {
        const message = `Idle timeout: no message arrived for ${idleMs / 1000} seconds.`;
        reject(new InferenceError('DEADLINE_EXCEEDED', message));
      });
      iterator
        .next()
        .then(resolve, reject)
        .finally(() => {
          timer.clear();
          signal.removeEventListener('abort', ended);
        });
    });
}

/** The audio of the messages after the first. */
class AudioMessages implements AsyncIterable<Uint8Array> {
  /** The error that ended it early, if any. */
  failure: unknown;
  readonly #next: NextMessage;
  readonly #retain: (bytes: number) => void;
  #isDecoding = false;

  /** `retain` is told how many bytes the decoder holds: all, until it has found the index of the file. Throws QUEUE_FULL. */
  constructor(next: NextMessage, retain: (bytes: number) => void) {
    this.#next = next;
    this.#retain = retain;
  }

  /** The first words are there: from now on the decoder holds only bytes near its reading position. */
  decoding(): void {
    if (this.#isDecoding) return;
    this.#isDecoding = true;
    this.#retain(0);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    let bytes = 0;
    try {
      for (;;) {
        const next = await this.#next();
        if (next.done === true) break;
        const { message } = next.value;
        if (message.case !== 'audio') throw invalid('message', 'must be audio after the first message of a stream');
        bytes += message.value.byteLength;
        if (!this.#isDecoding) this.#retain(bytes);
        if (message.value.byteLength > 0) yield message.value;
      }
      if (bytes === 0) {
        throw new InferenceError('AUDIO_UNREADABLE', 'The stream ended before any audio arrived.', { field: 'audio' });
      }
    } catch (error) {
      this.failure = error;
      throw error;
    }
  }
}

function toResponse(event: SpeechEvent<AudioSummary>, model: ServedModel, timing: CallTiming, call: Call): Response {
  switch (event.type) {
    case 'segment':
      return { message: { case: 'segment', value: toSegment(event.segment) } };
    case 'partial':
      return { message: { case: 'partial', value: event.partial } };
    case 'progress':
      return { message: { case: 'progress', value: { processedSeconds: roundTime(event.processedSeconds) } } };
    case 'summary': {
      call.stats.items = event.summary.durationSeconds;
      const summary = { ...event.summary, model: toModel(model), timing: timing.finish() };
      return { message: { case: 'summary', value: summary } };
    }
  }
}
