/**
 * Runs a command whose call a server never answers, with the shortest `--timeout` in which the call arrives: without a connection the command
 * fails for another reason, and a busy machine takes longer for one.
 */
export async function withTimeout<T>(run: (timeout: string) => Promise<T>, arrived: () => boolean): Promise<T> {
  for (let seconds = 0.05; ; seconds *= 2) {
    const result = await run(seconds.toString());
    if (arrived()) return result;
  }
}
