/** Chooses the device of the models from DEVICE and what works on this machine. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Device } from '@heimdex/cache';
import type { Logger } from 'pino';
import { FatalError } from '../exit-codes.js';
import { GPU_MEMORY_REMEDY, gpuMemoryProblem } from '../models/session/gpu-memory.js';
import { readProcessWork } from '../process/work-reading.js';
import { sampleIntervalMs, WorkTimer } from '../process/work-timer.js';

const PROBE = fileURLToPath(new URL('../worker/cuda-probe.js', import.meta.url));
/** Generous because the first start on a GPU compiles kernels. Time waiting for a CPU does not count. */
const PROBE_WORK_MS = 120_000;

const NEEDS =
  'CUDA needs an NVIDIA GPU that this process can access (in a container: the NVIDIA container toolkit, and a GPU assigned ' +
  'to the container), its driver, CUDA, cuDNN and the CUDA libraries of onnxruntime; docs/containers.md describes how to ' +
  'build an image with the libraries.';

export interface ChooseDeviceOptions {
  readonly log: Logger;
  /** The environment of worker processes. */
  readonly env: Readonly<Record<string, string>>;
  readonly stop: AbortSignal;
  /** Returns why CUDA does not work; undefined if it does. Default: a small run on the GPU in a separate process. */
  readonly probe?: (env: Readonly<Record<string, string>>, stop: AbortSignal) => Promise<string | undefined>;
}

/**
 * Returns the device that models are loaded on. `auto` is CUDA if it works, else the CPU, with the reason in the log. Throws a
 * FatalError (`configuration`) for `cuda` if it does not work.
 */
export async function chooseDevice(requested: Device, options: ChooseDeviceOptions): Promise<'cpu' | 'cuda'> {
  if (requested === 'cpu') return 'cpu';
  const { log, env, stop, probe = probeCuda } = options;
  const problem = await probe(env, stop);
  if (problem === undefined) return 'cuda';
  if (stop.aborted) return 'cpu';
  const full = gpuMemoryProblem(problem);
  const reason = full ?? problem;
  if (requested === 'cuda') {
    throw new FatalError(
      'configuration',
      `DEVICE=cuda, but CUDA does not work: ${reason}. ${full === undefined ? NEEDS : GPU_MEMORY_REMEDY} DEVICE=auto falls back to the CPU, DEVICE=cpu always uses it.`,
    );
  }
  log.warn({ reason }, 'DEVICE=auto: CUDA does not work, the models run on the CPU');
  return 'cpu';
}

async function probeCuda(env: Readonly<Record<string, string>>, signal: AbortSignal): Promise<string | undefined> {
  const probe = promisify(execFile)(process.execPath, [PROBE], { env: { ...env }, killSignal: 'SIGKILL', signal });
  const limit = new WorkTimer({
    read: () => readProcessWork(probe.child.pid),
    everyMs: sampleIntervalMs(PROBE_WORK_MS),
  });
  limit.set(PROBE_WORK_MS, () => probe.child.kill('SIGKILL'));
  try {
    const { stdout, stderr } = await probe;
    const reason = JSON.parse(stdout) as string | null;
    if (reason === null) return undefined;
    return missingLibrary(stderr) ?? reason;
  } catch (error) {
    const { killed, code, signal: by } = error as { killed?: boolean; code?: number | string; signal?: string };
    if (killed === true) return `the probe did not finish within ${PROBE_WORK_MS / 1000} s`;
    return `the probe process ended with ${by ?? code}`;
  } finally {
    limit.close();
  }
}

/** Returns which library failed to load and why: onnxruntime writes that to its output, not into its exception. */
function missingLibrary(output: string): string | undefined {
  const [, path, reason] = /Failed to load library (\S+) with error: ([^\n]+)/.exec(output) ?? [];
  if (path === undefined || reason === undefined) return undefined;
  return reason.startsWith(path) ? reason : `${path}: ${reason}`;
}
