/**
 * Memory given back when the work is gone. V8 collects when it allocates, and does not count the memory of large messages
 * (message-buffer.ts): after so many of them it is told to, under load as well as when the work is gone.
 */
import { collectGarbage } from '../../garbage.js';
import { takenMessageBytes } from '../messages/message-buffer.js';

const MIB = 1024 * 1024;
/** Worth the milliseconds that a collection takes. */
const WORTH_BYTES = 64 * MIB;
/** While there is work: that much may lie about. */
const BUSY_BYTES = 256 * MIB;
const LOOK_EVERY_MS = 250;
/** With nothing left to do a collection waits for so long: other work may follow. */
const IDLE_LOOKS = 4;

/** Collects when much was used up, while a function says how much is held. Returns what ends that. */
export function collectWhenIdle(heldBytes: () => number): () => void {
  let collectedBytes = takenMessageBytes();
  let usedBytes = 0;
  let idleLooks = 0;
  const timer = setInterval(() => {
    const held = heldBytes();
    usedBytes = Math.max(usedBytes, held, process.memoryUsage().arrayBuffers, takenMessageBytes() - collectedBytes);
    idleLooks = held > WORTH_BYTES / 4 ? 0 : idleLooks + 1;
    const idle = idleLooks >= IDLE_LOOKS && usedBytes >= WORTH_BYTES;
    if (!idle && takenMessageBytes() - collectedBytes < BUSY_BYTES) return;
    collectGarbage();
    collectedBytes = takenMessageBytes();
    usedBytes = 0;
  }, LOOK_EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}
