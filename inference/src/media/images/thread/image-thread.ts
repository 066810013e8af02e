import { Worker } from 'node:worker_threads';
import { InferenceError } from '../../../errors.js';
import { readThreadWork } from '../../../process/work-reading.js';
import { sampleIntervalMs, WorkTimer } from '../../../process/work-timer.js';
import { DamagedImage } from '../errors.js';
import { MAX_DECODE_CPU_SECONDS, MAX_DECODER_BYTES, MAX_IDLE_BYTES } from './limits.js';
import type { DecodedContent, DecodeRequest, FailedAnswer, ThreadAnswer } from './messages.js';

/** Limit of the thread's JavaScript heap; pixels and the decoders' memory are outside it. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 };
const MAX_WORK_MS = MAX_DECODE_CPU_SECONDS * 1000;

/** A thread that decodes one image after another. */
export class ImageThread {
  readonly #worker: Worker;
  #settle: ((answer: ThreadAnswer) => void) | undefined;
  #lost: string | undefined;
  #tid: number | undefined;
  #reusable = true;
  readonly #limit = new WorkTimer({
    read: async () => (this.#tid === undefined ? undefined : readThreadWork(this.#tid)),
    everyMs: sampleIntervalMs(MAX_WORK_MS),
  });

  constructor() {
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), {
      resourceLimits: RESOURCE_LIMITS,
      execArgv: [],
      env: {},
    });
    this.#worker.on('message', (answer: ThreadAnswer) => this.#received(answer));
    this.#worker.on('error', (error) => this.#fail(error.message));
    this.#worker.on('messageerror', (error) => this.#fail(error.message));
    this.#worker.on('exit', () => this.#fail('the thread ended'));
  }

  /** Whether it can accept another image: not after a crash or while it holds much memory. */
  get reusable(): boolean {
    return this.#reusable && this.#lost === undefined;
  }

  /** Rejects with an InferenceError for an unsupported kind, DamagedImage or another Error for a broken file. */
  async decode(request: DecodeRequest): Promise<DecodedContent> {
    this.#worker.ref();
    // The thread gets a copy: the caller's buffer stays usable.
    const content = new Uint8Array(request.content);
    const answer = await this.#ask({ ...request, content });
    this.#worker.unref();
    if (answer.kind === 'started') throw new Error('The thread answered out of turn.');
    const crashed = answer.kind === 'failed' && answer.reason === 'crashed';
    this.#reusable = !crashed && answer.memoryBytes <= MAX_IDLE_BYTES;
    if (crashed && answer.memoryBytes > MAX_DECODER_BYTES / 2) {
      throw new DamagedImage(
        `decoding needs more than ${MAX_DECODER_BYTES / 1024 ** 3} GiB of memory. Send it smaller`,
      );
    }
    if (answer.kind === 'decoded') return answer.content;
    if (answer.kind === 'refused') throw new InferenceError('IMAGE_UNREADABLE', answer.message);
    throw answer.reason === 'damaged' ? new DamagedImage(answer.message) : new Error(answer.message);
  }

  /** Ends the thread; the image in progress rejects. Idempotent. */
  async end(): Promise<void> {
    this.#fail('the thread was closed');
    await this.#worker.terminate();
  }

  async #ask(request: DecodeRequest & { readonly content: Uint8Array<ArrayBuffer> }): Promise<ThreadAnswer> {
    return new Promise<ThreadAnswer>((resolve) => {
      if (this.#lost !== undefined) return resolve(lost(this.#lost));
      this.#limit.set(MAX_WORK_MS, () => this.#overdue());
      this.#settle = resolve;
      this.#worker.postMessage(request, [request.content.buffer]);
    });
  }

  #received(answer: ThreadAnswer): void {
    if (answer.kind === 'started') this.#tid = answer.tid;
    else this.#answered(answer);
  }

  #answered(answer: ThreadAnswer): void {
    this.#limit.clear();
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.(answer);
  }

  #overdue(): void {
    this.#fail(`timeout: more than ${MAX_DECODE_CPU_SECONDS} s of processor time`);
    this.#worker.terminate().catch(() => undefined);
  }

  #fail(message: string): void {
    this.#limit.close();
    this.#lost ??= message;
    this.#answered(lost(this.#lost));
  }
}

function lost(message: string): FailedAnswer {
  return { kind: 'failed', message, reason: 'crashed', memoryBytes: 0 };
}
