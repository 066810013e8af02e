/** Garbage collected when it is worth it, and not when V8 allocates next: after a burst of large buffers that may be never. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Holds the thread up for 5 to 50 ms. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
}

/**
 * Also moves what is left together and gives the pages back to the system, which V8 otherwise keeps for objects to come: after loading
 * Whisper, 13 MB of a heap of 21. Holds the thread up for 60 ms, as several collections that V8 makes on request of a debugger alone; a
 * Node.js without debugger only collects. Never rejects.
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
