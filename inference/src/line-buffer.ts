import type { LogTarget } from './log.js';

/** As many characters are written at once without waiting. */
const MAX_CHARACTERS = 64 * 1024;
/** Lines that come closer together than this are written together. */
const GATHER_MS = 50;

/** A target whose lines are kept for a moment. */
export interface LineBuffer extends LogTarget {
  /** Writes what is kept now: to be called when the process ends. */
  flush(): void;
}

/**
 * Gathers lines into one write: those of one turn of the event loop, and where one was written less than `gatherMs` ago, what comes
 * until then. A write to a pipe is a system call during which nobody is answered: under load, line by line, it took a quarter of
 * the serving process's time, and turn by turn a fifth. What is kept is lost only when the process is killed.
 *
 * @param now monotonic milliseconds
 */
export function bufferLines(target: LogTarget, gatherMs = GATHER_MS, now = () => performance.now()): LineBuffer {
  let kept: string[] = [];
  let characters = 0;
  let writtenAtMs = Number.NEGATIVE_INFINITY;
  const flush = () => {
    if (kept.length === 0) return;
    const text = kept.join('');
    kept = [];
    characters = 0;
    writtenAtMs = now();
    target.write(text);
  };
  const flushSoon = () => {
    const waitMs = writtenAtMs + gatherMs - now();
    if (waitMs > 0) setTimeout(flush, waitMs).unref();
    else setImmediate(flush);
  };
  return {
    isTTY: target.isTTY === true,
    write(text) {
      if (kept.length === 0) flushSoon();
      kept.push(text);
      characters += text.length;
      if (characters > MAX_CHARACTERS) flush();
    },
    flush,
  };
}
