/** Files that may change while the server runs: certificates and tokens that are rotated. */
import { readFile } from 'node:fs/promises';

/** How often the files are read again. Links that are swapped (as Kubernetes does) are seen, for contents are compared. */
const LOOK_EVERY_MS = 5_000;

export interface WatchedFiles {
  /** Reads once more now; what has changed takes effect before it resolves. */
  check(): Promise<void>;
  close(): void;
}

export interface WatchOptions {
  readonly paths: readonly string[];
  /** Takes new contents, in the order of `paths`. Throws for what is no good: the old stays in force. */
  apply(contents: readonly Buffer[]): void;
  /** Told when a change could not be read or was no good. */
  failed(error: unknown): void;
  /** Told when a change has taken effect. */
  changed(): void;
}

/** Applies the files' contents, and again whenever they change. Rejects when they cannot be applied the first time. */
export async function watchFiles(options: WatchOptions): Promise<WatchedFiles> {
  const read = () => Promise.all(options.paths.map((path) => readFile(path)));
  let current = await read();
  options.apply(current);
  const check = async () => {
    try {
      const next = await read();
      if (next.every((content, index) => content.equals(current[index] ?? Buffer.alloc(0)))) return;
      // What is no good is told once, not at every look.
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
