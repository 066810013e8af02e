/** How long a worker may make no progress in what it does now: loading its model, a run, or the answer to a ping while it is idle. */
import type { WorkReading } from '../process/work-reading.js';
import { sampleIntervalMs, WorkTimer } from '../process/work-timer.js';

/** These count work, not wall time: see WorkTimer. */
export interface ActivityLimits {
  /** Maximum time without progress while a model loads and warms up. */
  readonly loadMs: number;
  /** Maximum time without progress in a run. */
  readonly hangMs: number;
  /** Interval and timeout of the ping to an idle worker. */
  readonly heartbeatMs: number;
}

export interface LimitedWorker {
  /** Reads the process; undefined: wall time counts. */
  read(): WorkReading | undefined;
  ping(): void;
  /** `reason` is for the log. */
  exceeded(reason: string): void;
}

export class ActivityLimit {
  readonly #limits: ActivityLimits;
  readonly #worker: LimitedWorker;
  readonly #timer: WorkTimer;
  /** Timer of the next ping to an idle worker. */
  #ping: NodeJS.Timeout | undefined;

  constructor(limits: ActivityLimits, worker: LimitedWorker) {
    this.#limits = limits;
    this.#worker = worker;
    const everyMs = sampleIntervalMs(Math.min(limits.loadMs, limits.hangMs, limits.heartbeatMs));
    this.#timer = new WorkTimer({ read: () => worker.read(), everyMs });
  }

  /** It loads, or has made progress in loading. */
  loading(): void {
    const { loadMs } = this.#limits;
    this.#set(loadMs, `it made no progress in loading for ${loadMs} ms`);
  }

  /** It runs, or has made progress in a run. */
  running(): void {
    const { hangMs } = this.#limits;
    this.#set(hangMs, `no progress in a run for ${hangMs} ms`);
  }

  /** It is idle, or has answered: pings it after the heartbeat interval, and expects an answer in the same time. */
  idle(): void {
    const { heartbeatMs } = this.#limits;
    clearTimeout(this.#ping);
    this.#timer.clear();
    this.#ping = setTimeout(() => {
      this.#set(heartbeatMs, `no answer to a ping for ${heartbeatMs} ms while idle`);
      this.#worker.ping();
    }, heartbeatMs);
  }

  /** It has ended. */
  close(): void {
    clearTimeout(this.#ping);
    this.#timer.close();
  }

  #set(ms: number, reason: string): void {
    clearTimeout(this.#ping);
    this.#timer.set(ms, () => this.#worker.exceeded(reason));
  }
}
