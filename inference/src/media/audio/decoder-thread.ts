import { Worker } from 'node:worker_threads';
import { InferenceError } from '../../errors.js';
import type { DecoderChoice } from './decoders/create.js';
import type { ThreadAnswer, ThreadRequest } from './messages.js';
import type { DecodeAnswer, DecodeRequest } from './session.js';

/** A few seconds of audio take some 50 ms; a decoder that takes this long runs in circles on damaged content. */
const ANSWER_DEADLINE_MS = 60_000;
/** The JavaScript heap of the thread; decoders keep their samples outside it, bounded by the size of a piece. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 384, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 };

/** A thread that decodes one recording after another. It holds no model, so it may be ended at any time. */
export class DecoderThread {
  readonly #worker: Worker;
  #settle: ((answer: ThreadAnswer) => void) | undefined;
  #failure: ThreadAnswer | undefined;

  constructor() {
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), {
      resourceLimits: RESOURCE_LIMITS,
      execArgv: [],
      env: {},
    });
    this.#worker.on('message', (answer: ThreadAnswer) => this.#answered(answer));
    this.#worker.on('error', (error) => this.#lost(error.message));
    this.#worker.on('messageerror', (error) => this.#lost(error.message));
    this.#worker.on('exit', () => this.#lost('its thread ended'));
  }

  /** False once the thread has ended or failed. */
  get alive(): boolean {
    return this.#failure === undefined;
  }

  /** Begins a recording; the one before it is forgotten. */
  async open(choice: DecoderChoice): Promise<void> {
    await this.#ask({ kind: 'open', choice });
  }

  /** Frees what the recording held; the thread stays for the next one, and holds up no process that wants to end. */
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
      const timer = setTimeout(() => this.#overdue(), ANSWER_DEADLINE_MS);
      this.#settle = (result) => {
        clearTimeout(timer);
        resolve(result);
      };
      this.#worker.postMessage(request, transfer);
    });
    if (answer.kind !== 'failed') return answer;
    const { code, message, field } = answer;
    throw new InferenceError(code, message, field === undefined ? {} : { field });
  }

  #answered(answer: ThreadAnswer): void {
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.(answer);
  }

  #overdue(): void {
    this.#lost(`it gave no answer for ${ANSWER_DEADLINE_MS / 1_000} s`);
    this.#worker.terminate().catch(() => undefined);
  }

  #lost(reason: string): void {
    const message = `The recording could not be decoded: the decoder stopped (${reason}).`;
    this.#failure ??= { kind: 'failed', code: 'AUDIO_UNREADABLE', message };
    this.#answered(this.#failure);
  }
}
