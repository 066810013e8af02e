import { causeText, InferenceError } from '../../errors.js';
import { LimitedThread, type ThreadLoss } from '../../process/limited-thread.js';
import { noThread, startThread } from '../../start-thread.js';
import type { DecoderChoice } from './decoders/create.js';
import type { ThreadAnswer, ThreadRequest } from './messages.js';
import type { DecodeAnswer, DecodeRequest } from './session.js';

/**
 * A few seconds of audio take about 50 ms; a decoder that works this long is stuck on damaged content. Time waiting for a CPU
 * does not count.
 */
const ANSWER_WORK_MS = 60_000;
/** Limits of the thread's JavaScript heap; decoders keep their samples outside it, bounded by the chunk size. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 384, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 };

/** A thread that decodes audio files sequentially. It has no model and may be terminated at any time. */
export class DecoderThread {
  readonly #thread: LimitedThread<ThreadRequest, ThreadAnswer>;

  /** Throws QUEUE_FULL if no thread can be started. @param workMs maximum work per answer, milliseconds */
  constructor(workMs = ANSWER_WORK_MS) {
    this.#thread = new LimitedThread<ThreadRequest, ThreadAnswer>({
      start: () => startThread(new URL('./worker.js', import.meta.url), RESOURCE_LIMITS),
      workMs,
      notStarted: noThread,
      lost: (loss) => ({
        kind: 'failed',
        code: 'AUDIO_UNREADABLE',
        message: `The audio could not be decoded: the decoder stopped (${reasonOf(loss, workMs)}).`,
        cause: loss instanceof Error ? causeText(loss) : undefined,
      }),
    });
  }

  /** False once the thread has ended or failed. */
  get alive(): boolean {
    return this.#thread.alive;
  }

  /** Opens an audio file; the previous one is discarded. */
  async open(choice: DecoderChoice): Promise<void> {
    await this.#ask({ kind: 'open', choice });
  }

  /** Frees the audio's resources; the idle thread does not keep the process alive. */
  async rest(): Promise<void> {
    await this.#ask({ kind: 'close' });
    this.#thread.unref();
  }

  wake(): void {
    this.#thread.ref();
  }

  async pull(request: DecodeRequest): Promise<DecodeAnswer> {
    // Copied, so that the caller's bytes remain usable.
    const input = request.input === undefined ? undefined : new Uint8Array(request.input);
    const answer = await this.#ask({ ...request, kind: 'pull', input }, input === undefined ? [] : [input.buffer]);
    if (answer.kind !== 'pulled') throw new InferenceError('INTERNAL', 'Unexpected answer from the decoder thread.');
    return answer;
  }

  /** Terminates the thread; a pending request rejects. Idempotent. */
  end(): Promise<void> {
    return this.#thread.end();
  }

  async #ask(request: ThreadRequest, transfer: ArrayBuffer[] = []): Promise<ThreadAnswer> {
    const answer = await this.#thread.ask(request, transfer);
    if (answer.kind !== 'failed') return answer;
    const { code, message, field, retryAfterMs, cause } = answer;
    throw new InferenceError(code, message, { field, retryAfterMs, cause });
  }
}

function reasonOf(loss: ThreadLoss, workMs: number): string {
  if (loss === 'ended') return 'its thread ended';
  if (loss === 'closed') return 'it was closed';
  if (loss === 'overdue') return `no answer after ${workMs / 1_000} s of work`;
  return (loss as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'out of memory' : 'its thread failed';
}
