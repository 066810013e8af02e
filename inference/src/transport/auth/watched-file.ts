/** Files that may change while the server runs, such as rotated certificates and tokens. */
import { readFile } from 'node:fs/promises';

/** Polling interval. Swapped links (as in Kubernetes) are detected because contents are compared. */
const CHECK_INTERVAL_MS = 5_000;
const EMPTY = Buffer.alloc(0);

export interface WatchedFiles {
  /** Reads the files now; changes take effect before it resolves. */
  check(): Promise<void>;
  close(): void;
}

export interface WatchOptions {
  readonly paths: readonly string[];
  /** Applies new contents, in the order of `paths`. Throws for invalid contents: the old ones stay in force. */
  apply(contents: readonly Buffer[]): void;
  /** Called when a change is unreadable or invalid: once for each problem in reading it, and once for invalid contents. */
  failed(error: unknown): void;
  /** Called when a change has taken effect, and when the files are as before one that did not. */
  changed(): void;
  /** Called after each time that the files were compared. */
  checked?(): void;
}

/** Applies the files' contents now and on every change. Rejects when the first attempt fails. */
export async function watchFiles(options: WatchOptions): Promise<WatchedFiles> {
  // One file at a time: of a volume that hangs, as many reads as Node.js has threads for files would stop every other.
  const read = async () => {
    const contents: Buffer[] = [];
    for (const path of options.paths) contents.push(await readFile(path));
    return contents;
  };
  let applied: readonly Buffer[] = await read();
  options.apply(applied);
  // Invalid contents are tried again at every poll, because a certificate may become valid later, but reported once.
  let reported: { readonly contents: readonly Buffer[]; readonly problem: string } | undefined;
  const checkNow = async () => {
    let contents: readonly Buffer[] = [];
    try {
      contents = await read();
      if (!equal(contents, applied)) {
        options.apply(contents);
        applied = contents;
      } else if (reported === undefined) return;
      reported = undefined;
      options.changed();
    } catch (error) {
      // Of what was read, the problem may tell the time: it differs at every poll.
      const problem = contents.length === 0 ? String(error) : '';
      if (problem === reported?.problem && equal(contents, reported.contents)) return;
      reported = { contents, problem };
      options.failed(error);
    } finally {
      options.checked?.();
    }
  };
  let reading = Promise.resolve();
  let next: Promise<void> | undefined;
  const check = () => {
    next ??= reading.then(() => {
      next = undefined;
      reading = checkNow();
      return reading;
    });
    return next;
  };
  const timer = setInterval(() => void check(), CHECK_INTERVAL_MS);
  timer.unref();
  return { check, close: () => clearInterval(timer) };
}

function equal(some: readonly Buffer[], others: readonly Buffer[]): boolean {
  return some.length === others.length && some.every((content, index) => content.equals(others[index] ?? EMPTY));
}
