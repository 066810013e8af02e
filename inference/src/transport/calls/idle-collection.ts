/**
 * Memory given back when the work is gone. V8 collects when it allocates: after a burst of large requests the last of them stay in
 * memory until the next ones come.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Worth the milliseconds that a collection takes. */
const WORTH_BYTES = 64 * 1024 * 1024;
const LOOK_EVERY_MS = 1000;

/** Collects when much was held and little is held now, while a function says how much. Returns what ends that. */
export function collectWhenIdle(heldBytes: () => number): () => void {
  let peakBytes = 0;
  const timer = setInterval(() => {
    const held = heldBytes();
    peakBytes = Math.max(peakBytes, held, process.memoryUsage().arrayBuffers);
    if (peakBytes < WORTH_BYTES || held > WORTH_BYTES / 4) return;
    collectGarbage();
    peakBytes = 0;
  }, LOOK_EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
}
