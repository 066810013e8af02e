import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Program, type ProgramName } from './program.js';

/** Variables that programs inherit. All other settings come from the demo. */
const INHERITED = ['PATH', 'HOME', 'TMPDIR', 'TEMP', 'TMP', 'LANG', 'LC_ALL', 'TZ', 'SystemRoot', 'LD_LIBRARY_PATH'];

/** A temporary models volume and the programs that use it. close() removes both. */
export class Sandbox {
  /** The models volume. */
  readonly volume: string;
  readonly #dir: string;
  readonly #programs = new Set<Program>();
  readonly #env: NodeJS.ProcessEnv;
  readonly #atExit = () => this.#remove();

  private constructor(dir: string, env: NodeJS.ProcessEnv) {
    this.#dir = dir;
    this.volume = join(dir, 'models');
    this.#env = Object.fromEntries(INHERITED.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
    process.on('exit', this.#atExit);
  }

  static async open(env: NodeJS.ProcessEnv): Promise<Sandbox> {
    return new Sandbox(await mkdtemp(join(tmpdir(), 'heimdex-demo-')), env);
  }

  /** Starts a program on the volume with the given settings. */
  start(name: ProgramName, args: readonly string[], settings: Readonly<Record<string, string>>): Program {
    const program = new Program(name, args, { ...this.#env, MODELS_DIR: this.volume, LOG_FORMAT: 'auto', ...settings });
    this.#programs.add(program);
    void program.ended.then(() => this.#programs.delete(program));
    return program;
  }

  /** Returns the last output of the running programs, for error messages. */
  lastOutput(): string {
    return [...this.#programs].map((program) => program.failure('was running').message).join('\n');
  }

  /** Ends every program and removes the volume. Idempotent. */
  async close(): Promise<void> {
    await Promise.all([...this.#programs].map((program) => program.stop()));
    await rm(this.#dir, { recursive: true, force: true });
    process.off('exit', this.#atExit);
  }

  /** Synchronous cleanup at process exit. */
  #remove(): void {
    for (const program of this.#programs) program.kill();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
