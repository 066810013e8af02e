import { availableParallelism } from 'node:os';
import { MIB } from '@heimdex/common';
import { BULK_FRACTION, type Priority } from '../../priority.js';
import { Semaphore } from '../../semaphore.js';
import { DecoderThread } from './decoder-thread.js';
import type { DecoderChoice } from './decoders/create.js';
import type { DecoderHost } from './session.js';
import { isRefusal } from './undecodable.js';

/**
 * A thread with a decoder takes about 10 MB, and a file that is read slowly or a stream keeps its thread: the queue of the model alone
 * would admit a thousand.
 */
const MAX_THREADS = 256;
const MIN_THREADS = 8;
const THREAD_BYTES = 10 * MIB;
/** The start of a thread is work of the processor: some 100 ms. */
const STARTS_PER_CORE = 2;
/** Fraction of the memory of the server and its workers that threads may take: streams of a few KB each ended the server of a small container. */
const MEMORY_PART = 0.25;

/** How many audio files may be decoded at a time, given the memory of the server and its workers. */
export function maxThreadsWithin(memoryBytes: number): number {
  return Math.max(MIN_THREADS, Math.min(MAX_THREADS, Math.floor((memoryBytes * MEMORY_PART) / THREAD_BYTES)));
}

interface Permits {
  readonly all: Semaphore;
  readonly bulk: Semaphore;
  /** Of those that start: more at once would only start later, and the calls of some have ended by then. */
  readonly starting: Semaphore;
}

/**
 * One thread per open audio file, up to a limit, and at most one idle thread for the next: starting a thread and loading a library
 * takes longer than decoding a few words. A thread is reused only if it decoded or refused its audio and no library threw.
 */
export class DecoderThreads {
  #permits: Permits;
  #spare: DecoderThread | undefined;

  constructor(
    max = MAX_THREADS,
    private readonly start = () => new DecoderThread(),
    cores = availableParallelism(),
  ) {
    this.#permits = permitsFor(max, cores);
  }

  /** Changes how many audio files may be decoded at a time, and how many threads start at a time. For when no file is open. */
  limit(max: number, cores: number): void {
    this.#permits = permitsFor(max, cores);
  }

  /** Opens a decoder, which may wait until another is closed. Rejects if it cannot be created, or when aborted while it waits. */
  async open(choice: DecoderChoice, signal: AbortSignal, priority: Priority = 'interactive'): Promise<DecoderHost> {
    const release = await this.#acquire(signal, priority);
    const thread = await this.#opened(choice, signal, priority).catch((error: unknown) => {
      release();
      throw error;
    });
    let reusable = false;
    let closing: Promise<void> | undefined;
    return {
      pull: async (request) => {
        try {
          const answer = await thread.pull(request);
          reusable = answer.done && !answer.failed;
          return answer;
        } catch (error) {
          reusable = isRefusal(error);
          throw error;
        }
      },
      close: () => {
        closing ??= (reusable ? this.#keep(thread) : thread.end()).finally(release);
        return closing;
      },
    };
  }

  async #acquire(signal: AbortSignal, priority: Priority): Promise<() => void> {
    const { all, bulk } = this.#permits;
    if (priority === 'interactive') return all.acquire(signal);
    const releaseBulk = await bulk.acquire(signal);
    const release = await all.acquire(signal, priority).catch((error: unknown) => {
      releaseBulk();
      throw error;
    });
    return () => {
      release();
      releaseBulk();
    };
  }

  async #opened(choice: DecoderChoice, signal: AbortSignal, priority: Priority): Promise<DecoderThread> {
    const started = await this.#permits.starting.acquire(signal, priority);
    try {
      const thread = this.#take();
      await thread.open(choice).catch(async (error: unknown) => {
        await (isRefusal(error) ? this.#keep(thread) : thread.end());
        throw error;
      });
      return thread;
    } finally {
      started();
    }
  }

  #take(): DecoderThread {
    const spare = this.#spare;
    this.#spare = undefined;
    if (spare?.alive !== true) return this.start();
    spare.wake();
    return spare;
  }

  async #keep(thread: DecoderThread): Promise<void> {
    try {
      await thread.rest();
    } catch {
      // It has ended, or could not free the audio's resources.
      return thread.end();
    }
    if (this.#spare?.alive === true) await thread.end();
    else this.#spare = thread;
  }
}

function permitsFor(max: number, cores: number): Permits {
  return {
    all: new Semaphore(max),
    bulk: new Semaphore(Math.max(1, Math.floor(max * BULK_FRACTION))),
    starting: new Semaphore(STARTS_PER_CORE * cores),
  };
}
