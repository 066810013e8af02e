import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PROJECT_DIR } from './options.js';

/** The project's programs, as npm links them. */
const PROGRAMS = {
  'heimdex-downloader': 'downloader/bin/heimdex-downloader.js',
  'heimdex-inference': 'inference/bin/heimdex-inference.js',
  heimdex: 'client/bin/heimdex.js',
} as const;

export type ProgramName = keyof typeof PROGRAMS;

/** How long a program may take to end when asked to. */
const STOP_MS = 10_000;
/** How much of a program's output is kept. */
const KEPT_LINES = 200;

/** One of the project's programs as a child process, as a user would start it. */
export class Program {
  readonly name: ProgramName;
  /** The last lines of both outputs. */
  readonly lines: string[] = [];
  readonly #child: ChildProcess;
  readonly #events = new EventEmitter();
  readonly #ended: Promise<number>;

  /** @param env everything the program finds in its environment */
  constructor(name: ProgramName, args: readonly string[], env: NodeJS.ProcessEnv) {
    this.name = name;
    this.#child = spawn(process.execPath, [join(PROJECT_DIR, PROGRAMS[name]), ...args], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // A group of its own: Ctrl-C reaches the demo alone, which ends its programs in order.
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.#read(line));
    }
    this.#ended = once(this.#child, 'close').then(([code, signal]) => {
      return typeof code === 'number' ? code : signal === null ? 1 : 128;
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** The exit status, once the program has ended. */
  get ended(): Promise<number> {
    return this.#ended;
  }

  /** The first line that `read` makes something of. Rejects when the program ends without one, or the signal fires. */
  async find<T>(read: (line: string) => T | undefined, signal: AbortSignal): Promise<T> {
    const done = new AbortController();
    try {
      return await new Promise<T>((resolve, reject) => {
        const look = (line: string) => {
          const found = read(line);
          if (found !== undefined) resolve(found);
        };
        const options = { signal: done.signal, once: true };
        signal.addEventListener('abort', () => reject(signal.reason), options);
        if (signal.aborted) reject(signal.reason);
        this.#events.on('line', look);
        done.signal.addEventListener('abort', () => this.#events.off('line', look), { once: true });
        for (const line of this.lines) look(line);
        this.#ended.then(() => reject(this.failure('ended too early')), reject);
      });
    } finally {
      done.abort();
    }
  }

  /** Waits for the end. @throws unless the exit status is 0 */
  async finish(): Promise<void> {
    const exitCode = await this.#ended;
    if (exitCode !== 0) throw this.failure(`ended with ${exitCode}`);
  }

  /** Asks the program to end, and makes it end when it does not. Idempotent. */
  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGTERM');
    const force = setTimeout(() => this.kill(), STOP_MS);
    await this.#ended;
    clearTimeout(force);
  }

  /** Ends the program at once, and its children with it. */
  kill(): void {
    const { pid } = this.#child;
    if (pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      this.#child.kill('SIGKILL'); // No groups on this system.
    }
  }

  /** An error that shows what the program said last. */
  failure(what: string): Error {
    const last = this.lines.slice(-8).map((line) => `  ${line}`);
    return new Error([`${this.name} ${what}. It said last:`, ...last].join('\n'));
  }

  #read(line: string): void {
    this.lines.push(line);
    if (this.lines.length > KEPT_LINES) this.lines.shift();
    this.#events.emit('line', line);
  }
}
