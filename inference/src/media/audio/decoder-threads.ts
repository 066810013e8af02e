import { DecoderThread } from './decoder-thread.js';
import type { DecoderChoice } from './decoders/create.js';
import type { DecoderHost } from './decoding-place.js';

/**
 * A thread for each audio file that is open, and at most one that waits for the next: to start one and load a library
 * takes longer than to decode a few words. Only a thread that decoded its audio to the end, without damage, is kept.
 */
export class DecoderThreads {
  #spare: DecoderThread | undefined;

  /** Rejects where the decoder cannot be started. */
  async open(choice: DecoderChoice): Promise<DecoderHost> {
    const thread = this.#take();
    try {
      await thread.open(choice);
    } catch (error) {
      await thread.end();
      throw error;
    }
    let whole = false;
    let closed = false;
    return {
      pull: async (request) => {
        const answer = await thread.pull(request);
        whole = answer.done && answer.warnings.length === 0;
        return answer;
      },
      close: async () => {
        if (closed) return;
        closed = true;
        if (whole) await this.#keep(thread);
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
      // What held the audio could not be freed: the thread is no use for another.
      return thread.end();
    }
    if (this.#spare?.alive === true) await thread.end();
    else this.#spare = thread;
  }
}
