import { Semaphore } from '../../../semaphore.js';
import { ImageThread } from './image-thread.js';
import { MAX_THREADS } from './limits.js';
import type { DecodedContent, DecodeRequest } from './messages.js';

/** Decodes images on a few threads, started on demand. Idle threads are reused and do not keep the process alive. */
export class ImageThreads {
  readonly #permits = new Semaphore(MAX_THREADS);
  readonly #idle: ImageThread[] = [];

  constructor(private readonly start = () => new ImageThread()) {}

  async decode(request: DecodeRequest): Promise<DecodedContent> {
    const release = await this.#permits.acquire();
    try {
      const thread = this.#take();
      try {
        return await thread.decode(request);
      } finally {
        if (thread.reusable) this.#idle.push(thread);
        else await thread.end();
      }
    } finally {
      release();
    }
  }

  /** A thread may have ended while idle. */
  #take(): ImageThread {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) if (idle.reusable) return idle;
    return this.start();
  }
}
