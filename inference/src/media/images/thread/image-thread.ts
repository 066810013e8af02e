import { InferenceError } from '../../../errors.js';
import { LimitedThread, type ThreadLoss } from '../../../process/limited-thread.js';
import { noThread, startThread } from '../../../start-thread.js';
import { DamagedImage, DecodeTimeUp } from '../errors.js';
import { MAX_DECODE_CPU_SECONDS, MAX_DECODER_BYTES, MAX_IDLE_BYTES } from './limits.js';
import type { DecodedContent, DecodeRequest, ThreadAnswer } from './messages.js';

/** Limit of the thread's JavaScript heap; pixels and the decoders' memory are outside it. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 };

/** A thread that decodes one image after another. Its constructor throws QUEUE_FULL if none can be started. */
export class ImageThread {
  #reusable = true;
  readonly #thread = new LimitedThread<DecodeRequest, ThreadAnswer>({
    start: () => startThread(new URL('./worker.js', import.meta.url), RESOURCE_LIMITS),
    workMs: MAX_DECODE_CPU_SECONDS * 1000,
    notStarted: noThread,
    lost: (loss) => ({
      kind: 'failed',
      message: messageFor(loss),
      reason: loss === 'overdue' ? 'overdue' : 'crashed',
      memoryBytes: 0,
    }),
  });

  /** Whether it can accept another image: not after a crash or while it holds much memory. */
  get reusable(): boolean {
    return this.#reusable && this.#thread.alive;
  }

  /** Rejects with an InferenceError for an unsupported kind, DecodeTimeUp, DamagedImage or another Error for a broken file. */
  async decode(request: DecodeRequest): Promise<DecodedContent> {
    this.#thread.ref();
    // The thread gets a copy: the caller's buffer stays usable.
    const content = new Uint8Array(request.content);
    const answer = await this.#thread.ask({ ...request, content }, [content.buffer]);
    this.#thread.unref();
    const crashed = answer.kind === 'failed' && answer.reason === 'crashed';
    this.#reusable = !crashed && answer.memoryBytes <= MAX_IDLE_BYTES;
    if (crashed && answer.memoryBytes > MAX_DECODER_BYTES / 2) {
      throw new DamagedImage(
        `decoding needs more than ${MAX_DECODER_BYTES / 1024 ** 3} GiB of memory. Send it smaller`,
      );
    }
    if (answer.kind === 'decoded') return answer.content;
    if (answer.kind === 'refused') throw new InferenceError('IMAGE_UNREADABLE', answer.message);
    if (answer.reason === 'overdue') throw new DecodeTimeUp(answer.message);
    throw answer.reason === 'damaged' ? new DamagedImage(answer.message) : new Error(answer.message);
  }

  /** Ends the thread; the image in progress rejects. Idempotent. */
  end(): Promise<void> {
    return this.#thread.end();
  }
}

function messageFor(loss: ThreadLoss): string {
  if (loss === 'ended') return 'the thread ended';
  if (loss === 'closed') return 'the thread was closed';
  if (loss === 'overdue') return `more than ${MAX_DECODE_CPU_SECONDS} s of processor time`;
  return loss.message;
}
