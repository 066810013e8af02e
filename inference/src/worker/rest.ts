/** Returns a worker's memory between its runs: tensors, large images and audio. */
import { MIB } from '@heimdex/common';
import { arrayBufferBytes, collectGarbage, compactHeap } from '../process/garbage.js';

/** Growth that justifies a collection. */
const WORTH_BYTES = 32 * MIB;
/**
 * Delay after a run, because the next one often follows. Not a second: frames come once a second, and a call that meets a collection takes a
 * third longer (faces, 512 x 512: 41 ms instead of 30).
 */
const REST_MS = 2500;
/** After this many collections the remaining memory is considered the model's. */
const MAX_COLLECTIONS = 10;

/**
 * Returns a function to call when the model is loaded and at the end of each run. At rest garbage is collected, and again while
 * large buffers arrive. The first time the heap is compacted as well: parsed graphs and vocabularies are most of it.
 */
export function collectAtRest(): () => void {
  let keptBytes = 0;
  let collections = 0;
  let timer: NodeJS.Timeout | undefined;
  let compacted = false;
  const grown = () => arrayBufferBytes() - keptBytes >= WORTH_BYTES;
  /** Never rejects. */
  const check = async () => {
    // Tensors of the runtime live until V8 collects them, and an idle process does not: 295 MB of a window's keys and values.
    if (compacted) collectGarbage();
    else await compactHeap();
    compacted = true;
    if (!grown()) return;
    // Probably an image that is just arriving; it is freed after its run.
    collections += 1;
    if (collections < MAX_COLLECTIONS) timer = setTimeout(check, REST_MS);
    else keptBytes = arrayBufferBytes();
  };
  return () => {
    collections = 0;
    clearTimeout(timer);
    timer = setTimeout(check, REST_MS);
  };
}
