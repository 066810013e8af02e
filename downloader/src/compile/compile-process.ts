/** Child process that compiles: its memory is freed when it exits, and it can be killed at any moment. */
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { Worker } from 'node:worker_threads';
import { codeOf, KIB, messageOf } from '@heimdex/common';
import { type CompiledModel, type CompileOptions, type CompileStep, compileCheckpoint } from '@heimdex/compiler';

/** Request from the parent. */
export type CompileOrder = Omit<CompileOptions, 'onStep'>;

/** Reply to the parent. */
export type CompileMessage =
  | ({ readonly type: 'step' } & CompileStep)
  | {
      readonly type: 'done';
      readonly model: CompiledModel;
      /** Peak memory of the process, mapped files included; absent if the system does not report it. */
      readonly peakBytes?: number;
    }
  | {
      readonly type: 'failed';
      readonly code: string;
      readonly message: string;
      /** Of the system's error; absent where it wrote to an open file. */
      readonly path?: string | undefined;
    };

// Building a graph blocks the event loop. A separate thread notices when the parent is gone.
const watch = `
const { workerData } = require('node:worker_threads');
setInterval(() => { if (process.ppid !== workerData) process.kill(process.pid, 'SIGKILL'); }, 100);`;
new Worker(watch, { eval: true, workerData: Number(process.argv[2]) }).unref();

process.once('message', (order: CompileOrder) => {
  void compile(order);
});

async function compile(order: CompileOrder): Promise<void> {
  try {
    const model = await compileCheckpoint({ ...order, onStep: (step) => say({ type: 'step', ...step }) });
    say({ type: 'done', model, ...peakMemory() });
  } catch (error) {
    // Of a CompilerError its own, otherwise the system's.
    const { path } = error as NodeJS.ErrnoException;
    say({ type: 'failed', code: codeOf(error) ?? 'COMPILE_FAILED', message: messageOf(error), path });
  }
  if (process.connected) process.disconnect();
}

function say(message: CompileMessage): void {
  // An error means that the parent is gone, which the watching thread also notices.
  process.send?.(message, () => {});
}

function peakMemory(): { readonly peakBytes?: number } {
  try {
    const [, kilobytes] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    return kilobytes === undefined ? {} : { peakBytes: Number(kilobytes) * KIB };
  } catch {
    return {};
  }
}
