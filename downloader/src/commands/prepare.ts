import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import { DownloaderError } from '../errors.js';
import type { CommandContext } from './context.js';

/**
 * Runs the server's `prepare` on the volume. It needs the runtime that serves the models, many times the size of this program,
 * so the server's package does the work.
 * Throws DownloaderError USAGE if the server is not installed next to this program; PREPARE_FAILED if it fails.
 */
export async function prepareModels({ env, signal }: CommandContext): Promise<undefined> {
  const program = serverProgram();
  if (program === undefined) {
    throw new DownloaderError(
      'USAGE',
      "prepare is done by the server, which is not installed next to this program. Run it from the server, with the volume read-write: heimdex-inference prepare (in containers: the server's image with the argument prepare)",
    );
  }
  const child = spawn(process.execPath, [program, 'prepare'], { env, stdio: ['ignore', 'inherit', 'inherit'] });
  const stop = () => void child.kill('SIGTERM');
  signal.addEventListener('abort', stop, { once: true });
  try {
    const [status, killedBy] = await once(child, 'exit');
    signal.throwIfAborted();
    if (status === 0) return;
    const how = killedBy === null ? `exit status ${status}; see above` : `${killedBy}, possibly out of memory`;
    const next = 'To try again, run: heimdex-downloader prepare';
    throw new DownloaderError('PREPARE_FAILED', `heimdex-inference prepare ended with ${how}. ${next}`);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Finds the server's program in the package directories. */
function serverProgram(): string | undefined {
  const dirs = createRequire(import.meta.url).resolve.paths('@heimdex/inference') ?? [];
  return dirs.map((dir) => join(dir, '@heimdex/inference/bin/heimdex-inference.js')).find((path) => existsSync(path));
}
