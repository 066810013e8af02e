import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Program, type ProgramName } from './program.js';

/** What programs are given of this process's environment; every setting of theirs is the demo's. */
const PASSED_ON = ['PATH', 'HOME', 'TMPDIR', 'TEMP', 'TMP', 'LANG', 'LC_ALL', 'TZ', 'SystemRoot', 'LD_LIBRARY_PATH'];

/** An empty volume and the programs that use it; close() takes everything away. */
export class Workplace {
  /** The models volume. */
  readonly volume: string;
  readonly #dir: string;
  readonly #programs = new Set<Program>();
  readonly #env: NodeJS.ProcessEnv;
  readonly #atExit = () => this.#remove();

  private constructor(dir: string, env: NodeJS.ProcessEnv) {
    this.#dir = dir;
    this.volume = join(dir, 'models');
    this.#env = Object.fromEntries(PASSED_ON.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
    process.on('exit', this.#atExit);
  }

  static async open(env: NodeJS.ProcessEnv): Promise<Workplace> {
    return new Workplace(await mkdtemp(join(tmpdir(), 'heimdex-demo-')), env);
  }

  /** Starts a program on the volume with these settings. */
  start(name: ProgramName, args: readonly string[], settings: Readonly<Record<string, string>>): Program {
    const program = new Program(name, args, { ...this.#env, MODELS_DIR: this.volume, LOG_FORMAT: 'auto', ...settings });
    this.#programs.add(program);
    void program.ended.then(() => this.#programs.delete(program));
    return program;
  }

  /** What the programs that still run said last, for an error's sake. */
  lastWords(): string {
    return [...this.#programs].map((program) => program.failure('was running').message).join('\n');
  }

  /** Ends every program and removes the volume. Idempotent. */
  async close(): Promise<void> {
    await Promise.all([...this.#programs].map((program) => program.stop()));
    await rm(this.#dir, { recursive: true, force: true });
    process.off('exit', this.#atExit);
  }

  /** The same when there is no time left. */
  #remove(): void {
    for (const program of this.#programs) program.kill();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
