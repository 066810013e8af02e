import { ImageThread } from './image-thread.js';
import { MAX_THREADS } from './limits.js';
import type { DecodedContent, DecodeRequest } from './messages.js';

/** Decodes images on a few threads, started on demand. Idle threads are reused and do not keep the process alive. */
export class ImageThreads {
  readonly #idle: ImageThread[] = [];
  readonly #waiting: (() => void)[] = [];
  readonly #start: () => ImageThread;
  #busy = 0;

  constructor(start = () => new ImageThread()) {
    this.#start = start;
  }

  async decode(request: DecodeRequest): Promise<DecodedContent> {
    await this.#acquire();
    try {
      const thread = this.#take();
      try {
        return await thread.decode(request);
      } finally {
        if (thread.reusable) this.#idle.push(thread);
        else await thread.end();
      }
    } finally {
      this.#release();
    }
  }

  /** A thread may have ended while idle. */
  #take(): ImageThread {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) if (idle.reusable) return idle;
    return this.#start();
  }

  async #acquire(): Promise<void> {
    if (this.#busy < MAX_THREADS) {
      this.#busy += 1;
      return;
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #release(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#busy -= 1;
    else next();
  }
}
