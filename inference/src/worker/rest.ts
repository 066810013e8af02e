/** Frees a worker's memory between runs: what large images and audio files used. */
import { collectGarbage } from '../garbage.js';

/** Growth that justifies a collection. */
const WORTH_BYTES = 32 * 1024 * 1024;
/** Delay after a run, because the next one often follows at once. */
const REST_MS = 1000;
/** After this many collections the remaining memory is considered the model's. */
const MAX_COLLECTIONS = 10;

/**
 * Returns a function to call at the end of each run. Some time after the last run it collects, if buffers outside V8's
 * heap have grown.
 */
export function collectAtRest(): () => void {
  let keptBytes = 0;
  let collections = 0;
  let timer: NodeJS.Timeout | undefined;
  const grown = () => process.memoryUsage().arrayBuffers - keptBytes >= WORTH_BYTES;
  const check = () => {
    if (!grown()) return;
    collectGarbage();
    if (!grown()) return;
    // An image that is just arriving, and will be used up.
    collections += 1;
    if (collections < MAX_COLLECTIONS) timer = setTimeout(check, REST_MS);
    else keptBytes = process.memoryUsage().arrayBuffers;
  };
  return () => {
    collections = 0;
    clearTimeout(timer);
    timer = setTimeout(check, REST_MS);
  };
}
