/**
 * Frees memory after work. V8 collects when it allocates and does not count the memory of large messages
 * (message-buffer.ts), so collection is triggered here after a given amount, under load and when idle.
 */
import { MIB } from '@heimdex/common';
import { arrayBufferBytes, collectGarbage } from '../../process/garbage.js';
import { takenMessageBytes } from '../messages/message-buffer.js';

/** Minimum bytes that justify a collection. */
const WORTH_BYTES = 64 * MIB;
/** Uncollected bytes allowed while there is work. */
const BUSY_BYTES = 256 * MIB;
const CHECK_INTERVAL_MS = 250;
/** Delay of a collection when idle, in case more work follows. */
const IDLE_LOOKS = 4;

/**
 * Collects when enough memory was consumed. Returns a function that stops it.
 *
 * @param heldBytes - Returns the bytes in use.
 */
export function collectWhenIdle(heldBytes: () => number, checkIntervalMs = CHECK_INTERVAL_MS): () => void {
  let collectedBytes = takenMessageBytes();
  let usedBytes = 0;
  /** What was there before all work, or is left by a collection and falls as V8 frees it: a further one would not free it. */
  let keptBytes = arrayBufferBytes();
  let idleLooks = 0;
  const timer = setInterval(() => {
    const held = heldBytes();
    const bufferBytes = arrayBufferBytes();
    keptBytes = Math.min(keptBytes, bufferBytes);
    usedBytes = Math.max(usedBytes, held, bufferBytes - keptBytes, takenMessageBytes() - collectedBytes);
    idleLooks = held > WORTH_BYTES / 4 ? 0 : idleLooks + 1;
    const idle = idleLooks >= IDLE_LOOKS && usedBytes >= WORTH_BYTES;
    if (!idle && takenMessageBytes() - collectedBytes < BUSY_BYTES) return;
    collectGarbage();
    keptBytes = arrayBufferBytes();
    collectedBytes = takenMessageBytes();
    usedBytes = 0;
  }, checkIntervalMs);
  timer.unref();
  return () => clearInterval(timer);
}
