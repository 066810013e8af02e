import { addAbortSignal, type Readable } from 'node:stream';
import { messageOf } from '@heimdex/common';
import { type Extract, extract } from 'tar-stream';

/** One entry of a tar stream: its header and its bytes. Read the bytes or skip them with `resume()`. */
export type TarEntry = Extract extends AsyncIterable<infer Item> ? Item : never;

/**
 * Yields the entries of a tar stream in order. Read or resume each entry before requesting the next. Errors of the input and
 * of the tar format are thrown by the next read; the signal ends a read of an idle input too.
 */
export async function* tarEntries(input: Readable, signal: AbortSignal): AsyncGenerator<TarEntry> {
  const tar = extract();
  const feeding = feed(addAbortSignal(signal, input), tar);
  // Awaited below; until then a failure surfaces through the destroyed tar stream.
  feeding.catch(() => {});
  try {
    yield* tar;
    await feeding;
  } finally {
    tar.destroy(null);
  }
}

async function feed(input: Readable, tar: Extract): Promise<void> {
  try {
    for await (const chunk of input) {
      if (tar.destroyed) return;
      if (!tar.write(chunk)) await drained(tar);
    }
    // The types require an argument, the stream does not.
    tar.end(null);
  } catch (error) {
    // Without its code, which would be taken for an error of the volume.
    const failed = new Error(messageOf(error), { cause: error });
    tar.destroy(failed);
    throw failed;
  }
}

/** Resolves when the stream is writable again, or when its reader is gone. */
function drained(tar: Extract): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      tar.off('drain', done);
      tar.off('close', done);
      resolve();
    };
    tar.on('drain', done);
    tar.on('close', done);
  });
}
