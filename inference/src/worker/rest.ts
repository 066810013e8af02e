/** Frees a worker's memory between runs: what large images and audio files used. */
import { collectGarbage } from '../garbage.js';

/** Worth a collection. */
const WORTH_BYTES = 32 * 1024 * 1024;
/** The next run often comes at once. */
const REST_MS = 1000;
/** What is still there after so many collections is the model's. */
const MAX_LOOKS = 10;

/** A function to call at the end of each run: a while after the last one it collects, where the buffers outside of V8's heap have grown. */
export function collectAtRest(): () => void {
  let keptBytes = 0;
  let looks = 0;
  let timer: NodeJS.Timeout | undefined;
  const grown = () => process.memoryUsage().arrayBuffers - keptBytes >= WORTH_BYTES;
  const look = () => {
    if (!grown()) return;
    collectGarbage();
    if (!grown()) return;
    // An image that is just arriving, and will be used up.
    looks += 1;
    if (looks < MAX_LOOKS) timer = setTimeout(look, REST_MS);
    else keptBytes = process.memoryUsage().arrayBuffers;
  };
  return () => {
    looks = 0;
    clearTimeout(timer);
    timer = setTimeout(look, REST_MS);
  };
}
