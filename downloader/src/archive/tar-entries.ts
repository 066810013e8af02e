import { type Extract, extract } from 'tar-stream';

/** One entry of a tar stream: its header, and its bytes to be read or passed over by `resume()`. */
export type TarEntry = Extract extends AsyncIterable<infer Item> ? Item : never;

/**
 * The entries of a tar stream, in order. Each must be read to its end or resumed before the next one is asked for.
 * Errors of the input and of the tar format are thrown where the next entry or byte is waited for.
 */
export async function* tarEntries(input: AsyncIterable<unknown>, signal: AbortSignal): AsyncGenerator<TarEntry> {
  const tar = extract();
  const feeding = feed(input, tar, signal);
  // Looked at below; until then a failure shows itself through the destroyed tar stream.
  feeding.catch(() => {});
  try {
    yield* tar;
    await feeding;
  } finally {
    tar.destroy(null);
  }
}

async function feed(input: AsyncIterable<unknown>, tar: Extract, signal: AbortSignal): Promise<void> {
  try {
    for await (const chunk of input) {
      signal.throwIfAborted();
      if (tar.destroyed) return;
      if (!tar.write(chunk)) await drained(tar);
    }
    // The types ask for an argument, the stream does not.
    tar.end(null);
  } catch (error) {
    tar.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  }
}

/** Resolves when more may be written, and also when nobody will read any more. */
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
