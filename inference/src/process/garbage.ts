/** Collects garbage explicitly: after a burst of large buffers V8 may not do so by itself for a long time. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Blocks the thread for 5 to 50 ms. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
}

/**
 * Also compacts the heap and returns the freed pages to the system: 13 of 21 MB after loading Whisper. Blocks the thread for 60 ms: V8 runs
 * several collections, which only the inspector can request; a Node.js without an inspector only collects. Never rejects.
 */
export async function compactHeap(): Promise<void> {
  try {
    // Loaded here: most threads never need it.
    const { Session } = await import('node:inspector/promises');
    const session = new Session();
    session.connect();
    await session.post('HeapProfiler.collectGarbage');
    session.disconnect();
  } catch {
    collectGarbage();
  }
}

/**
 * Bytes of array buffers. 0 if no file descriptor is free: Node.js reads the resident memory with it, from a file, and throws. Callers
 * whose connections take all descriptors must not end this process.
 */
export function arrayBufferBytes(): number {
  try {
    return process.memoryUsage().arrayBuffers;
  } catch {
    return 0;
  }
}
