import { Worker } from 'node:worker_threads';
import { causeText, InferenceError } from '../../errors.js';
import { readThreadWork } from '../../work-reading.js';
import { sampleIntervalMs, WorkTimer } from '../../work-timer.js';
import type { DecoderChoice } from './decoders/create.js';
import type { ThreadAnswer, ThreadRequest, ThreadStarted } from './messages.js';
import type { DecodeAnswer, DecodeRequest } from './session.js';

/**
 * A few seconds of audio take some 50 ms; a decoder that works as long as this runs in circles on damaged content. What the
 * thread waits for a processor does not count: on a busy machine that says nothing of the audio.
 */
const ANSWER_WORK_MS = 60_000;
/** The JavaScript heap of the thread; decoders keep their samples outside it, bounded by the size of a chunk. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 384, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 };

/** A thread that decodes one audio file after another. It holds no model, so it may be ended at any time. */
export class DecoderThread {
  readonly #worker: Worker;
  readonly #workMs: number;
  readonly #limit: WorkTimer;
  #tid: number | undefined;
  #settle: ((answer: ThreadAnswer) => void) | undefined;
  #failure: ThreadAnswer | undefined;

  /** @param workMs most work for one answer, milliseconds */
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
      this.#lost(outOfMemory ? 'it needed too much memory' : 'its thread failed', error);
    });
    this.#worker.on('messageerror', (error) => this.#lost('its answer could not be read', error));
    this.#worker.on('exit', () => this.#lost('its thread ended'));
  }

  /** False once the thread has ended or failed. */
  get alive(): boolean {
    return this.#failure === undefined;
  }

  /** Begins an audio file; the one before it is forgotten. */
  async open(choice: DecoderChoice): Promise<void> {
    await this.#ask({ kind: 'open', choice });
  }

  /** Frees what the audio held; the thread stays for the next one, and holds up no process that wants to end. */
  async rest(): Promise<void> {
    await this.#ask({ kind: 'close' });
    this.#worker.unref();
  }

  wake(): void {
    this.#worker.ref();
  }

  async pull(request: DecodeRequest): Promise<DecodeAnswer> {
    // The thread gets a copy of its own: what the caller handed in stays usable.
    const input = request.input === undefined ? undefined : new Uint8Array(request.input);
    const answer = await this.#ask({ ...request, kind: 'pull', input }, input === undefined ? [] : [input.buffer]);
    if (answer.kind !== 'pulled') throw new InferenceError('INTERNAL', 'The decoder answered out of turn.');
    return answer;
  }

  /** Ends the thread; what is being asked rejects. Idempotent. */
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
    this.#lost(`it worked for ${this.#workMs / 1_000} s without an answer`);
    this.#worker.terminate().catch(() => undefined);
  }

  #lost(reason: string, cause?: unknown): void {
    const message = `The audio could not be decoded: the decoder stopped (${reason}).`;
    this.#limit.close();
    this.#failure ??= { kind: 'failed', code: 'AUDIO_UNREADABLE', message, cause: causeText(cause) };
    this.#answered(this.#failure);
  }
}
