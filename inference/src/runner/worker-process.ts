/** One worker process, seen from the server: started, spoken to, watched and ended. */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants, getPriority, setPriority } from 'node:os';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { InferenceError } from '../errors.js';
import type { FamilyName, LoadOptions, ModelFacts, ModelFiles, Outcome } from '../models/model.js';
import type { GraphUse } from '../models/session/optimized/use.js';
import type { Executor, ExecutorAnswer, RunOptions } from '../scheduling/executor.js';
import { readProcessWork } from '../work-reading.js';
import { lookEveryMs, WorkTimer } from '../work-timer.js';
import { type FromWorker, fromWireOutcome, parseFromWorker, type ToWorker, type WireOutcome } from './messages.js';
import { type FramePipe, openFramePipe, WORKER_PIPE_FD } from './pipe.js';
import { watchProcess } from './watchdog.js';

export interface WorkerLimits {
  /** Longest time without progress while a model is loaded and warmed. Like those below it counts while the worker can work: see WorkTimer. */
  readonly loadMs: number;
  /** Longest time without progress in a run. */
  readonly hangMs: number;
  /** An idle worker is asked this often whether it lives, and has as long to answer. */
  readonly heartbeatMs: number;
  /** More memory of its own, mapped model files aside, ends the worker. */
  readonly maxOwnBytes: number;
  /** Time between two looks from outside. */
  readonly watchMs: number;
}

export interface WorkerProcessOptions {
  /** The worker's program, a path. */
  readonly program: string;
  readonly env: Readonly<Record<string, string>>;
  readonly family: FamilyName;
  readonly files: ModelFiles;
  readonly load: LoadOptions;
  readonly limits: WorkerLimits;
  /** A line that the worker, or a native library in it, wrote to its output. */
  output(line: string): void;
}

export interface WorkerReady {
  readonly facts: ModelFacts;
  readonly graphs: readonly GraphUse[];
  readonly loadMs: number;
  readonly warmUpMs: number;
}

/** Why a worker is gone: `reason` is one short sentence for the log. */
export interface WorkerEnd {
  readonly reason: string;
  /** The model said that it cannot be loaded; starting it again will not help. */
  readonly loadFailure: boolean;
  /** All that it worked on was an item that had been in a run that failed: the item may be why. */
  readonly killedByPoisonSuspect: boolean;
}

interface Run {
  readonly runOptions: RunOptions<unknown>;
  resolve(answer: ExecutorAnswer<unknown>): void;
  reject(error: Error): void;
}

/**
 * A worker collects its memory with the thread it has. What it holds are large arrays, of which there is nothing to do side by
 * side: V8's helper threads took a sixth of the time of a long audio file from the other workers and saved none of it.
 */
const NODE_FLAGS = ['--enable-source-maps', '--single-threaded-gc', '--expose-gc'];

/**
 * Starts at once. `ready` resolves when the model is loaded and warm and rejects when it never will be; `ended` resolves
 * when the process is gone, for whatever reason.
 */
export class WorkerProcess implements Executor<unknown, unknown> {
  readonly ready: Promise<WorkerReady>;
  readonly ended: Promise<WorkerEnd>;
  readonly #options: WorkerProcessOptions;
  readonly #child: ChildProcess;
  readonly #pipe: FramePipe;
  #settleReady: { resolve(ready: WorkerReady): void; reject(error: Error): void } = { resolve() {}, reject() {} };
  /** The run it is in, and one that interrupts it, by id. */
  readonly #runs = new Map<number, Run>();
  #lastRun = 0;
  #progress = 0;
  /** When an idle worker is asked next. */
  #ask: NodeJS.Timeout | undefined;
  /** What is left of the time for what it does. */
  readonly #limit: WorkTimer;
  readonly #stopWatching: () => void;
  /** Why it is being ended, known before the process is gone. */
  #endReason: string | undefined;
  #loadFailure = false;

  constructor(options: WorkerProcessOptions) {
    this.#options = options;
    this.#child = spawn(process.execPath, [...NODE_FLAGS, options.program], {
      env: options.env,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    });
    lowerPriority(this.#child.pid);
    for (const output of [this.#child.stdout, this.#child.stderr]) {
      if (output !== null) createInterface({ input: output }).on('line', (line) => options.output(line));
    }
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject };
    });
    // Nobody may be waiting for it when it fails; `ended` tells the same.
    this.ready.catch(() => {});
    this.ended = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve(this.#finish(`it could not be started: ${error.message}`)));
      this.#child.once('exit', (code, signal) => resolve(this.#finish(`it ended with ${signal ?? `code ${code}`}`)));
    });
    this.#pipe = openFramePipe(this.#child.stdio[WORKER_PIPE_FD] as Duplex, {
      message: (message) => this.#receive(message),
      closed: (error) => this.kill(error === undefined ? 'its pipe closed' : `its pipe broke: ${error.message}`),
    });
    this.#stopWatching = this.#watchFromOutside();
    this.#limit = this.#openLimit();
    this.#watchLoading();
    this.#send({ type: 'load', family: options.family, files: options.files, options: options.load });
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
    const cancels = signals.map((signal, index) => {
      const cancel = () => this.#send({ type: 'cancel', id, index });
      signal.addEventListener('abort', cancel, { once: true });
      return () => signal.removeEventListener('abort', cancel);
    });
    return new Promise<ExecutorAnswer<unknown>>((resolve, reject) => {
      if (this.#endReason !== undefined) return reject(this.#lost(this.#endReason));
      this.#runs.set(id, { runOptions, resolve, reject });
      this.#watchRun();
      this.#send({ type: 'run', id, items, preempting: runOptions.preempting });
    }).finally(() => {
      for (const off of cancels) off();
    });
  }

  /** Ends the process now. */
  kill(reason: string): void {
    this.#endReason ??= reason;
    this.#child.kill('SIGKILL');
  }

  #send(message: ToWorker): void {
    this.#pipe.send(message);
  }

  #receive(value: unknown): void {
    let message: FromWorker;
    try {
      message = parseFromWorker(value);
    } catch (error) {
      return this.kill(error instanceof Error ? error.message : String(error));
    }
    switch (message.type) {
      case 'ready':
        this.#settleReady.resolve(message);
        return this.#watchIdle();
      case 'loading':
        return this.#watchLoading();
      case 'failed':
        this.#loadFailure = true;
        return this.kill(message.message);
      case 'progress':
        this.#progress += 1;
        for (const { index, outcome, runMs } of message.settled) {
          this.#runs.get(message.id)?.runOptions.settled(index, fromWireOutcome(outcome), runMs);
        }
        return this.#runs.size === 0 ? undefined : this.#watchRun();
      case 'result': {
        const { outcomes, runMs } = message;
        return this.#endRun(message.id, (run) => run.resolve({ outcomes: outcomes.map(toOutcome), runMs }));
      }
      case 'broken': {
        const { message: text } = message;
        return this.#endRun(message.id, (run) => run.reject(new Error(`the model failed in a run: ${text}`)));
      }
      case 'pong':
        return this.#runs.size === 0 ? this.#watchIdle() : undefined;
    }
  }

  #endRun(id: number, settle: (run: Run) => void): void {
    const run = this.#runs.get(id);
    if (run === undefined) return this.kill(`it answered run ${id}, which nobody waits for`);
    this.#runs.delete(id);
    if (this.#runs.size === 0) this.#watchIdle();
    else this.#watchRun();
    settle(run);
  }

  #watchFromOutside(): () => void {
    const { pid } = this.#child;
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

  #openLimit(): WorkTimer {
    const { pid } = this.#child;
    const { loadMs, hangMs, heartbeatMs } = this.#options.limits;
    return new WorkTimer({
      read: async () => (pid === undefined ? undefined : readProcessWork(pid)),
      everyMs: lookEveryMs(Math.min(loadMs, hangMs, heartbeatMs)),
    });
  }

  #watchLoading(): void {
    const { loadMs } = this.#options.limits;
    this.#watch(loadMs, `it made no progress in loading for ${loadMs} ms`);
  }

  #watchRun(): void {
    const { hangMs } = this.#options.limits;
    this.#watch(hangMs, `it made no progress in a run for ${hangMs} ms`);
  }

  /** Idle: asks after a while; no answer in as long again is the end. */
  #watchIdle(): void {
    const { heartbeatMs } = this.#options.limits;
    clearTimeout(this.#ask);
    this.#limit.clear();
    this.#ask = setTimeout(() => {
      this.#watch(heartbeatMs, `it did not answer for ${heartbeatMs} ms while idle`);
      this.#send({ type: 'ping' });
    }, heartbeatMs);
  }

  #watch(ms: number, reason: string): void {
    clearTimeout(this.#ask);
    this.#limit.set(ms, () => this.kill(reason));
  }

  #finish(how: string): WorkerEnd {
    clearTimeout(this.#ask);
    this.#limit.close();
    this.#stopWatching();
    const reason = this.#endReason ?? how;
    this.#endReason = reason;
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
    return new InferenceError('WORKER_LOST', 'The process that worked on this was lost; try again.', {
      retryAfterMs: 1000,
      cause: new Error(reason),
    });
  }
}

function toOutcome(outcome: WireOutcome | null): Outcome<unknown> | undefined {
  return outcome === null ? undefined : fromWireOutcome(outcome);
}

/** How much nicer a worker is than the server. */
const PRIORITY_STEP = 10;

/**
 * The process that answers callers goes before those that compute: it needs little, at once. Within the memory and processor of a
 * container nothing else changes by this.
 */
function lowerPriority(pid: number | undefined): void {
  try {
    if (pid !== undefined) setPriority(pid, Math.min(constants.priority.PRIORITY_LOW, getPriority() + PRIORITY_STEP));
  } catch {
    // It is gone already, or the system does not allow it; it works as it is.
  }
}
