import { fork } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { MIB } from '@heimdex/common';
import type { CompileStep } from '@heimdex/compiler';
import { asDiskError } from '../disk.js';
import { DownloaderError } from '../errors.js';
import type { CompileMessage, CompileOrder } from './compile-process.js';

const PROGRAM = fileURLToPath(new URL('./compile-process.js', import.meta.url));

/**
 * By default glibc's allocator keeps freed memory, up to 32 MB per block and in several arenas. A compile frees many such
 * blocks: 280 MB more at the peak.
 */
const ENVIRONMENT = {
  PATH: '/usr/bin:/bin',
  ORT_DISABLE_TELEMETRY: '1',
  MALLOC_MMAP_THRESHOLD_: String(MIB),
  MALLOC_TRIM_THRESHOLD_: String(MIB),
  MALLOC_ARENA_MAX: '1',
};

type Done = Omit<Extract<CompileMessage, { readonly type: 'done' }>, 'type'>;

/**
 * Compiles in a child process. Throws DownloaderError CHECKPOINT_INVALID for a checkpoint that cannot be compiled, DISK_FULL,
 * DISK_FAILED, COMPILE_FAILED; the signal's reason when it fires.
 */
export async function runCompiler(
  order: CompileOrder,
  onStep: (step: CompileStep) => void,
  signal: AbortSignal,
): Promise<Done> {
  signal.throwIfAborted();
  const child = fork(PROGRAM, [String(process.pid)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: ENVIRONMENT,
    execArgv: ['--expose-gc'],
  });
  const end = () => void child.kill('SIGKILL');
  signal.addEventListener('abort', end, { once: true });
  try {
    return await new Promise<Done>((resolve, reject) => {
      child.on('message', (message: CompileMessage) => {
        if (message.type === 'step') onStep(message);
        else if (message.type === 'done') resolve(message);
        else reject(failure(message, order));
      });
      // Not once: a process that cannot be started is sent no order either.
      child.on('error', (error) => reject(unexpectedEnd(error.message)));
      child.once('exit', (code, ended) => reject(unexpectedEnd(ended ?? `status ${code}`)));
      child.send(order);
    });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', end);
    child.kill('SIGKILL');
  }
}

function failure(failed: Extract<CompileMessage, { readonly type: 'failed' }>, order: CompileOrder): unknown {
  const { code, message, path = order.dir } = failed;
  const { checkpoint } = order;
  if (code === 'COMPILE_FAILED')
    return new DownloaderError('COMPILE_FAILED', `${checkpoint} could not be compiled: ${message}`);
  const system = asDiskError(Object.assign(new Error(message), { code }), path);
  if (system instanceof DownloaderError) return system;
  return new DownloaderError('CHECKPOINT_INVALID', `${checkpoint} cannot be compiled: ${message}`);
}

function unexpectedEnd(how: string): DownloaderError {
  return new DownloaderError(
    'COMPILE_FAILED',
    `The compiler ended with ${how}, possibly out of memory: it needs 500 MB. To try again, run: heimdex-downloader download`,
  );
}
