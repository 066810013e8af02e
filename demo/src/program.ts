import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PROJECT_DIR } from './options.js';

/** Executables of the project, as linked by npm. */
const PROGRAMS = {
  'heimdex-downloader': 'downloader/bin/heimdex-downloader.js',
  'heimdex-inference': 'inference/bin/heimdex-inference.js',
  heimdex: 'client/bin/heimdex.js',
} as const;

export type ProgramName = keyof typeof PROGRAMS;

/** Grace period after SIGTERM. */
const STOP_TIMEOUT_MS = 10_000;
/** Number of output lines to keep. */
const MAX_LINES = 200;

/** A program of the project as a child process, started as a user would. */
export class Program {
  readonly name: ProgramName;
  /** Last lines of both output streams. */
  readonly lines: string[] = [];
  readonly #child: ChildProcess;
  readonly #events = new EventEmitter();
  /** The exit status, once the program has ended. */
  readonly ended: Promise<number>;

  /** @param env the complete environment of the program */
  constructor(name: ProgramName, args: readonly string[], env: NodeJS.ProcessEnv) {
    this.name = name;
    this.#child = spawn(process.execPath, [join(PROJECT_DIR, PROGRAMS[name]), ...args], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // A separate process group: Ctrl-C reaches only the demo, which ends its programs in order.
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.#read(line));
    }
    this.ended = once(this.#child, 'close').then(([code, signal]) => {
      return typeof code === 'number' ? code : signal === null ? 1 : 128;
    });
  }

  /** Returns the first defined result of `read` on an output line. Rejects if the program ends first or the signal fires. */
  async find<T>(read: (line: string) => T | undefined, signal: AbortSignal): Promise<T> {
    const done = new AbortController();
    try {
      return await new Promise<T>((resolve, reject) => {
        const check = (line: string) => {
          const found = read(line);
          if (found !== undefined) resolve(found);
        };
        const options = { signal: done.signal, once: true };
        signal.addEventListener('abort', () => reject(signal.reason), options);
        if (signal.aborted) reject(signal.reason);
        this.#events.on('line', check);
        done.signal.addEventListener('abort', () => this.#events.off('line', check), { once: true });
        for (const line of this.lines) check(line);
        this.ended.then(() => reject(this.failure('ended too early')), reject);
      });
    } finally {
      done.abort();
    }
  }

  /** Waits for the program to end, and ends it if the signal fires. Throws Error unless the exit status is 0. */
  async finish(signal: AbortSignal): Promise<void> {
    const stop = () => void this.stop();
    signal.addEventListener('abort', stop, { once: true });
    const exitCode = await this.ended;
    signal.removeEventListener('abort', stop);
    if (exitCode !== 0) throw this.failure(`ended with ${exitCode}`);
  }

  /** Ends the program with SIGTERM, then SIGKILL after the grace period. Idempotent. */
  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGTERM');
    const force = setTimeout(() => this.kill(), STOP_TIMEOUT_MS);
    await this.ended;
    clearTimeout(force);
  }

  /** Kills the program and its children immediately. */
  kill(): void {
    const { pid } = this.#child;
    if (pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      this.#child.kill('SIGKILL'); // The system has no process groups.
    }
  }

  /** Returns an error with the program's last output. */
  failure(what: string): Error {
    const last = this.lines.slice(-8).map((line) => `  ${line}`);
    return new Error([`${this.name} ${what}. Last output:`, ...last].join('\n'));
  }

  #read(line: string): void {
    this.lines.push(line);
    if (this.lines.length > MAX_LINES) this.lines.shift();
    this.#events.emit('line', line);
  }
}
