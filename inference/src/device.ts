/** Where the models run: what DEVICE asks for, held to what opens on this machine. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Device } from '@heimdex/cache';
import type { Logger } from 'pino';
import { FatalError } from './exit-codes.js';
import { readProcessWork } from './work-reading.js';
import { lookEveryMs, WorkTimer } from './work-timer.js';

const PROBE = fileURLToPath(new URL('./worker/cuda-probe.js', import.meta.url));
/** A first start on a GPU compiles kernels. What the process waits for a processor does not count. */
const PROBE_WORK_MS = 120_000;

const NEEDS =
  'It needs an NVIDIA GPU that this process may use (in a container: the NVIDIA container toolkit, and a GPU given to the ' +
  'container), its driver, CUDA, cuDNN and the CUDA libraries of onnxruntime; deploy/README.md says how to make the ' +
  'image that has the libraries.';

export interface ChooseDeviceOptions {
  readonly log: Logger;
  /** What workers get of the environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly stop: AbortSignal;
  /** Why CUDA does not open; undefined when it does. Default: a small run on the GPU in a process of its own. */
  readonly probe?: (env: Readonly<Record<string, string>>, stop: AbortSignal) => Promise<string | undefined>;
}

/**
 * The device that models are loaded on. `auto` is CUDA where it opens, else the CPU with a line in the log that says why.
 * Throws a FatalError (`configuration`) for `cuda` where it does not open.
 */
export async function chooseDevice(wanted: Device, options: ChooseDeviceOptions): Promise<'cpu' | 'cuda'> {
  if (wanted === 'cpu') return 'cpu';
  const { log, env, stop, probe = probeCuda } = options;
  const reason = await probe(env, stop);
  if (reason === undefined) return 'cuda';
  if (stop.aborted) return 'cpu';
  if (wanted === 'cuda') {
    throw new FatalError(
      'configuration',
      `DEVICE=cuda, and CUDA does not open here: ${reason}. ${NEEDS} DEVICE=auto serves on the CPU where there is no CUDA, DEVICE=cpu always.`,
    );
  }
  log.warn({ reason }, 'DEVICE=auto: CUDA does not open here, the models run on the CPU');
  return 'cpu';
}

async function probeCuda(env: Readonly<Record<string, string>>, signal: AbortSignal): Promise<string | undefined> {
  const trial = promisify(execFile)(process.execPath, [PROBE], { env: { ...env }, killSignal: 'SIGKILL', signal });
  const { pid } = trial.child;
  const limit = new WorkTimer({
    read: async () => (pid === undefined ? undefined : readProcessWork(pid)),
    everyMs: lookEveryMs(PROBE_WORK_MS),
  });
  limit.set(PROBE_WORK_MS, () => trial.child.kill('SIGKILL'));
  try {
    const { stdout, stderr } = await trial;
    const reason = JSON.parse(stdout) as string | null;
    if (reason === null) return undefined;
    return missingLibrary(stderr) ?? reason;
  } catch (error) {
    const { killed, code, signal: by } = error as { killed?: boolean; code?: number | string; signal?: string };
    if (killed === true) return `a run on it did not end within ${PROBE_WORK_MS / 1000} s`;
    return `the process that tried it ended with ${by ?? code}`;
  } finally {
    limit.close();
  }
}

/** The runtime's exception says that a library does not load; which, and for lack of what, it writes to its output. */
function missingLibrary(output: string): string | undefined {
  const [, path, reason] = /Failed to load library (\S+) with error: ([^\n]+)/.exec(output) ?? [];
  if (path === undefined || reason === undefined) return undefined;
  return reason.startsWith(path) ? reason : `${path}: ${reason}`;
}
