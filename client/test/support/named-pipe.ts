import { spawnSync } from 'node:child_process';

/** Makes a named pipe and returns its path. Skips the test where the system has no mkfifo. */
export function namedPipe(test: Mocha.Context, path: string): string {
  if (spawnSync('mkfifo', [path]).status !== 0) test.skip();
  return path;
}
