/** A worker process as the server controls it: starts it, exchanges messages, watches it and kills it. */

import type { ChildProcess } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { messageOf } from '@heimdex/common';
import { InferenceError } from '../errors.js';
import type { LoadOptions, ModelFiles } from '../models/model.js';
import type { FamilyName } from '../models/registry.js';
import { readProcessWork } from '../process/work-reading.js';
import type { Executor, ExecutorAnswer, RunOptions } from '../scheduling/executor.js';
import { ActivityLimit, type ActivityLimits } from './activity-limit.js';
import type { CoreShare, CoreUser } from './core-share.js';
import { type FromWorker, fromWireOutcome, parseFromWorker, type ToWorker } from './messages.js';
import { readOutputLines } from './output-lines.js';
import { type FramePipe, openFramePipe, WORKER_PIPE_FD } from './pipe.js';
import { type SlowRun, watchRun } from './slow-runs.js';
import { spawnWorker } from './spawn-worker.js';
import { watchProcess } from './watchdog.js';

export interface WorkerLimits extends ActivityLimits {
  /** Maximum private memory, excluding mapped model files; above it the worker is killed. */
  readonly maxOwnBytes: number;
  /** Sampling interval of the watchdog. */
  readonly watchMs: number;
}

export interface WorkerProcessOptions {
  /** Path of the worker program. */
  readonly program: string;
  readonly env: Readonly<Record<string, string>>;
  readonly family: FamilyName;
  readonly files: ModelFiles;
  readonly load: LoadOptions;
  /** The cores that all workers share. */
  readonly cores: CoreShare;
  readonly limits: WorkerLimits;
  /** Called when it is being killed: a process with much memory takes a while to end. It accepts no run any more. */
  ending?(): void;
  /** Called for each line that the worker, or a native library in it, writes to stdout or stderr; long ones are cut. */
  output(line: string): void;
  /** Called when a run takes many times its predicted time, and again while it goes on. */
  slow(run: SlowRun): void;
}

/** What a worker reports of its loaded model. */
export type WorkerReady = Extract<FromWorker, { type: 'ready' }>;

/** Why a worker ended: `reason` is a short sentence for the log. */
export interface WorkerEnd {
  readonly reason: string;
  /** The model failed to load; a restart will not help. */
  readonly loadFailure: boolean;
  /** Its only run had one item that was in a failed run before: the item may be the cause. */
  readonly killedByPoisonSuspect: boolean;
}

interface Run {
  readonly runOptions: RunOptions<unknown>;
  resolve(answer: ExecutorAnswer<unknown>): void;
  reject(error: Error): void;
}

/**
 * After this many failed runs in a row the process is replaced: after an error of the GPU, or without memory, each run fails until its end.
 * If the next one does not start either, the pool gives up.
 */
const MAX_BROKEN_RUNS = 5;

/**
 * Starts in the constructor, which throws if the process cannot be started. `ready` resolves when the model is loaded and warm, and
 * rejects if that fails; `ended` resolves when the process has ended, for any reason.
 */
export class WorkerProcess implements Executor<unknown, unknown> {
  readonly ready: Promise<WorkerReady>;
  readonly ended: Promise<WorkerEnd>;
  readonly threads: number;
  readonly #options: WorkerProcessOptions;
  readonly #child: ChildProcess;
  readonly #pipe: FramePipe<ToWorker>;
  #settleReady: { resolve(ready: WorkerReady): void; reject(error: Error): void } = { resolve() {}, reject() {} };
  /** The current run and the one that preempts it, by id. */
  readonly #runs = new Map<number, Run>();
  #lastRun = 0;
  #progress = 0;
  /** Consecutive runs that failed as a whole. */
  #brokenRuns = 0;
  readonly #limit: ActivityLimit;
  readonly #stopWatching: () => void;
  readonly #cores: CoreUser;
  /** Why it is being killed; set before the process has ended. */
  #endReason: string | undefined;
  /** How its pipe ended: a little before the process, whose end says more. */
  #pipeEnd: string | undefined;
  #loadFailure = false;
  readonly #readWork = () => readProcessWork(this.pid);

  constructor(options: WorkerProcessOptions) {
    this.#options = options;
    this.threads = options.load.threads;
    this.#child = spawnWorker(options.program, options.env);
    for (const output of [this.#child.stdout, this.#child.stderr]) {
      if (output !== null) readOutputLines(output, options.output);
    }
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject };
    });
    // Avoids an unhandled rejection if nobody awaits it; `ended` has the same reason.
    this.ready.catch(() => {});
    this.ended = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve(this.#finish(`the process could not be started: ${error.message}`)));
      this.#child.once('exit', (code, signal) => resolve(this.#finish(exitReason(code, signal))));
    });
    this.#pipe = openFramePipe(this.#child.stdio[WORKER_PIPE_FD] as Duplex, {
      message: (message) => this.#receive(message),
      closed: (error) => {
        this.#pipeEnd = error === undefined ? 'the pipe closed' : `the pipe failed: ${error.message}`;
        this.kill(this.#pipeEnd);
      },
    });
    this.#stopWatching = this.#startWatchdog();
    this.#limit = new ActivityLimit(options.limits, {
      read: this.#readWork,
      ping: () => this.#pipe.send({ type: 'ping' }),
      exceeded: (reason) => this.kill(reason),
    });
    this.#cores = options.cores.user(this.threads, (shared) => this.#pipe.send({ type: 'cores', shared }));
    this.#limit.loading();
    this.#pipe.send({ type: 'load', family: options.family, files: options.files, options: options.load });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  run(
    items: readonly unknown[],
    signals: readonly AbortSignal[],
    runOptions: RunOptions<unknown>,
  ): Promise<ExecutorAnswer<unknown>> {
    const id = ++this.#lastRun;
    const stopWatching = watchRun({
      run: id,
      items: items.length,
      expectedMs: runOptions.expectedMs,
      hangMs: this.#options.limits.hangMs,
      read: this.#readWork,
      progress: () => this.#progress,
      report: this.#options.slow,
    });
    const cancels = signals.map((signal, index) => {
      const cancel = () => this.#pipe.send({ type: 'cancel', id, index });
      signal.addEventListener('abort', cancel, { once: true });
      return () => signal.removeEventListener('abort', cancel);
    });
    return new Promise<ExecutorAnswer<unknown>>((resolve, reject) => {
      if (this.#endReason !== undefined) return reject(this.#lost(this.#endReason));
      this.#runs.set(id, { runOptions, resolve, reject });
      this.#limit.running();
      this.#cores.begin();
      this.#pipe.send({ type: 'run', id, items, preempting: runOptions.preempting });
    }).finally(() => {
      stopWatching();
      for (const off of cancels) off();
    });
  }

  /** Kills the process. `reason` is for the log. */
  kill(reason: string): void {
    if (this.#endReason === undefined) {
      this.#endReason = reason;
      this.#options.ending?.();
    }
    this.#child.kill('SIGKILL');
  }

  #receive(value: unknown): void {
    let message: FromWorker;
    try {
      message = parseFromWorker(value);
    } catch (error) {
      return this.kill(messageOf(error));
    }
    switch (message.type) {
      case 'ready':
        if (this.#endReason === undefined) this.#settleReady.resolve(message);
        return this.#becomeIdle();
      case 'loading':
        return this.#limit.loading();
      case 'failed':
        this.#loadFailure = true;
        return this.kill(message.message);
      case 'progress':
        this.#progress += 1;
        for (const { index, outcome, runMs } of message.settled) {
          this.#runs.get(message.id)?.runOptions.settled(index, fromWireOutcome(outcome), runMs);
        }
        return this.#runs.size === 0 ? undefined : this.#limit.running();
      case 'result': {
        const { id, outcomes, runMs } = message;
        return this.#endRun(id, (run) => {
          this.#brokenRuns = 0;
          run.resolve({ outcomes: outcomes.map((one) => (one === null ? undefined : fromWireOutcome(one))), runMs });
        });
      }
      case 'broken':
        this.#endRun(message.id, (run) => run.reject(new Error(`the model failed during a run: ${message.message}`)));
        this.#brokenRuns += 1;
        if (this.#brokenRuns < MAX_BROKEN_RUNS) return;
        return this.kill(`${MAX_BROKEN_RUNS} runs in a row failed, the last with: ${message.message}`);
      case 'pong':
        return this.#runs.size === 0 ? this.#becomeIdle() : undefined;
    }
  }

  #endRun(id: number, settle: (run: Run) => void): void {
    const run = this.#runs.get(id);
    if (run === undefined) return this.kill(`the worker answered the unknown run ${id}`);
    this.#runs.delete(id);
    if (this.#runs.size === 0) this.#becomeIdle();
    else this.#limit.running();
    settle(run);
  }

  #startWatchdog(): () => void {
    const { pid } = this;
    if (pid === undefined) return () => {};
    const { watchMs, maxOwnBytes } = this.#options.limits;
    return watchProcess(
      {
        pid,
        activity: () => ({ run: this.#runs.keys().next().value, progress: this.#progress }),
        failed: (reason) => this.kill(reason),
      },
      { everyMs: watchMs, maxOwnBytes, cpuBound: this.#options.load.device === 'cpu' },
    );
  }

  #becomeIdle(): void {
    this.#cores.end();
    this.#limit.idle();
  }

  #finish(exitReason: string): WorkerEnd {
    this.#limit.close();
    this.#stopWatching();
    // Nobody killed it, or only because of the pipe.
    if (this.#endReason === this.#pipeEnd) this.#endReason = [this.#pipeEnd, exitReason].filter(Boolean).join('; ');
    const reason = this.#endReason ?? exitReason;
    this.#cores.end();
    this.#pipe.close();
    this.#settleReady.reject(new Error(reason));
    const runs = [...this.#runs.values()];
    for (const run of runs) run.reject(this.#lost(reason));
    this.#runs.clear();
    return {
      reason,
      loadFailure: this.#loadFailure,
      killedByPoisonSuspect: runs.length === 1 && runs[0]?.runOptions.poisonSuspect === true,
    };
  }

  #lost(reason: string): InferenceError {
    return new InferenceError('WORKER_LOST', 'The worker process died during the run; retry.', {
      retryAfterMs: 1000,
      cause: new Error(reason),
    });
  }
}

/** What a signal of the kernel means. If this program had sent SIGKILL, another reason would be known. */
const SIGNAL_MEANINGS: Partial<Record<NodeJS.Signals, string>> = {
  SIGKILL: ', as when the system or the container runs out of memory',
  SIGBUS: ', as when a file that it has mapped was cut, or its disk or volume can no longer be read',
};

function exitReason(code: number | null, signal: NodeJS.Signals | null): string {
  if (signal === null) return `the process ended with code ${code}`;
  return `the process ended with ${signal}${SIGNAL_MEANINGS[signal] ?? ''}`;
}
