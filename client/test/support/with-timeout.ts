/**
 * Runs a command or a call with the shortest timeout, in seconds, in which what must happen before it does: on a busy machine a connection
 * alone may take longer than any fixed one.
 */
export async function withTimeout<T>(
  run: (timeout: string) => Promise<T>,
  happened: (result: T) => boolean,
): Promise<T> {
  for (let seconds = 0.05; ; seconds *= 2) {
    const result = await run(seconds.toString());
    if (happened(result)) return result;
  }
}
