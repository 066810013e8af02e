/** Files that may change while the server runs, such as rotated certificates and tokens. */
import { readFile } from 'node:fs/promises';

/** Polling interval. Swapped links (as in Kubernetes) are detected because contents are compared. */
const LOOK_EVERY_MS = 5_000;

export interface WatchedFiles {
  /** Reads the files now; changes take effect before it resolves. */
  check(): Promise<void>;
  close(): void;
}

export interface WatchOptions {
  readonly paths: readonly string[];
  /** Applies new contents, in the order of `paths`. Throws for invalid contents: the old ones stay in force. */
  apply(contents: readonly Buffer[]): void;
  /** Called when a change is unreadable or invalid. */
  failed(error: unknown): void;
  /** Called when a change has taken effect. */
  changed(): void;
}

/** Applies the files' contents now and on every change. Rejects when the first attempt fails. */
export async function watchFiles(options: WatchOptions): Promise<WatchedFiles> {
  const read = () => Promise.all(options.paths.map((path) => readFile(path)));
  let current = await read();
  options.apply(current);
  const check = async () => {
    try {
      const next = await read();
      if (next.every((content, index) => content.equals(current[index] ?? Buffer.alloc(0)))) return;
      // Report an invalid change once, not at every poll.
      current = next;
      options.apply(next);
      options.changed();
    } catch (error) {
      options.failed(error);
    }
  };
  const timer = setInterval(() => void check(), LOOK_EVERY_MS);
  timer.unref();
  return { check, close: () => clearInterval(timer) };
}
