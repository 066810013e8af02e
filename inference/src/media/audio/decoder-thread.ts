import { Worker } from 'node:worker_threads';
import { causeText, InferenceError } from '../../errors.js';
import { readThreadWork } from '../../process/work-reading.js';
import { sampleIntervalMs, WorkTimer } from '../../process/work-timer.js';
import type { DecoderChoice } from './decoders/create.js';
import type { ThreadAnswer, ThreadRequest, ThreadStarted } from './messages.js';
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
  readonly #worker: Worker;
  readonly #workMs: number;
  readonly #limit: WorkTimer;
  #tid: number | undefined;
  #settle: ((answer: ThreadAnswer) => void) | undefined;
  #failure: ThreadAnswer | undefined;

  /** @param workMs maximum work per answer, milliseconds */
  constructor(workMs = ANSWER_WORK_MS) {
    this.#workMs = workMs;
    this.#limit = new WorkTimer({
      read: async () => (this.#tid === undefined ? undefined : readThreadWork(this.#tid)),
      everyMs: sampleIntervalMs(workMs),
    });
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), {
      resourceLimits: RESOURCE_LIMITS,
      execArgv: [],
      env: {},
    });
    this.#worker.on('message', (answer: ThreadAnswer | ThreadStarted) => {
      if (answer.kind === 'started') this.#tid = answer.tid;
      else this.#answered(answer);
    });
    this.#worker.on('error', (error: NodeJS.ErrnoException) => {
      const outOfMemory = error.code === 'ERR_WORKER_OUT_OF_MEMORY';
      this.#lost(outOfMemory ? 'out of memory' : 'its thread failed', error);
    });
    this.#worker.on('messageerror', (error) => this.#lost('invalid message from its thread', error));
    this.#worker.on('exit', () => this.#lost('its thread ended'));
  }

  /** False once the thread has ended or failed. */
  get alive(): boolean {
    return this.#failure === undefined;
  }

  /** Opens an audio file; the previous one is discarded. */
  async open(choice: DecoderChoice): Promise<void> {
    await this.#ask({ kind: 'open', choice });
  }

  /** Frees the audio's resources; the idle thread does not keep the process alive. */
  async rest(): Promise<void> {
    await this.#ask({ kind: 'close' });
    this.#worker.unref();
  }

  wake(): void {
    this.#worker.ref();
  }

  async pull(request: DecodeRequest): Promise<DecodeAnswer> {
    // Copied, so that the caller's bytes remain usable.
    const input = request.input === undefined ? undefined : new Uint8Array(request.input);
    const answer = await this.#ask({ ...request, kind: 'pull', input }, input === undefined ? [] : [input.buffer]);
    if (answer.kind !== 'pulled') throw new InferenceError('INTERNAL', 'Unexpected answer from the decoder thread.');
    return answer;
  }

  /** Terminates the thread; a pending request rejects. Idempotent. */
  async end(): Promise<void> {
    this.#lost('it was closed');
    await this.#worker.terminate();
  }

  async #ask(request: ThreadRequest, transfer: ArrayBuffer[] = []): Promise<ThreadAnswer> {
    const answer = await new Promise<ThreadAnswer>((resolve) => {
      if (this.#failure !== undefined) return resolve(this.#failure);
      this.#limit.set(this.#workMs, () => this.#overdue());
      this.#settle = resolve;
      this.#worker.postMessage(request, transfer);
    });
    if (answer.kind !== 'failed') return answer;
    const { code, message, field, cause } = answer;
    throw new InferenceError(code, message, { ...(field === undefined ? {} : { field }), cause });
  }

  #answered(answer: ThreadAnswer): void {
    this.#limit.clear();
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.(answer);
  }

  #overdue(): void {
    this.#lost(`no answer after ${this.#workMs / 1_000} s of work`);
    this.#worker.terminate().catch(() => undefined);
  }

  #lost(reason: string, cause?: unknown): void {
    const message = `The audio could not be decoded: the decoder stopped (${reason}).`;
    this.#limit.close();
    this.#failure ??= { kind: 'failed', code: 'AUDIO_UNREADABLE', message, cause: causeText(cause) };
    this.#answered(this.#failure);
  }
}
