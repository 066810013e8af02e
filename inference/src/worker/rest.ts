/** Returns a worker's memory between its runs: tensors, large images and audio. */
import { collectGarbage } from '../garbage.js';

/** Worth a collection. */
const WORTH_BYTES = 32 * 1024 * 1024;
/** The next run often comes at once. */
const REST_MS = 1000;
/** What is still there after so many collections is the model's. */
const MAX_LOOKS = 10;

/** Returns a function to call at the end of each run. One second after the last one garbage is collected, again while large buffers arrive. */
export function collectAtRest(): () => void {
  let keptBytes = 0;
  let looks = 0;
  let timer: NodeJS.Timeout | undefined;
  const grown = () => process.memoryUsage().arrayBuffers - keptBytes >= WORTH_BYTES;
  const look = () => {
    // Tensors of the runtime live until V8 collects them, and an idle process does not: 295 MB of a window's keys and values.
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
