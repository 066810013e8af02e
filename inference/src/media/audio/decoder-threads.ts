import type { DecoderHost } from './decoder-host.js';
import { DecoderThread } from './decoder-thread.js';
import type { DecoderChoice } from './decoders/create.js';

/**
 * One thread per open audio file, and at most one idle thread for the next: starting a thread and loading a library takes longer
 * than decoding a few words. A thread is reused only if it decoded its audio to the end, without damage.
 */
export class DecoderThreads {
  #spare: DecoderThread | undefined;

  /** Opens a decoder. Rejects if it cannot be created. */
  async open(choice: DecoderChoice): Promise<DecoderHost> {
    const thread = this.#take();
    try {
      await thread.open(choice);
    } catch (error) {
      await thread.end();
      throw error;
    }
    let reusable = false;
    let closed = false;
    return {
      pull: async (request) => {
        const answer = await thread.pull(request);
        reusable = answer.done && answer.warnings.length === 0;
        return answer;
      },
      close: async () => {
        if (closed) return;
        closed = true;
        if (reusable) await this.#keep(thread);
        else await thread.end();
      },
    };
  }

  #take(): DecoderThread {
    const spare = this.#spare;
    this.#spare = undefined;
    if (spare?.alive !== true) return new DecoderThread();
    spare.wake();
    return spare;
  }

  async #keep(thread: DecoderThread): Promise<void> {
    try {
      await thread.rest();
    } catch {
      // The audio's resources could not be freed: the thread cannot be reused.
      return thread.end();
    }
    if (this.#spare?.alive === true) await thread.end();
    else this.#spare = thread;
  }
}
