import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { expect } from 'chai';
import { run } from '../../src/run.js';

/** One line of the log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly msg: string; readonly level: string };

/** What a run of the program gave. */
export interface ProgramResult {
  readonly status: number;
  readonly stdout: string;
  readonly stdoutBytes: Buffer;
  /** stderr as text. */
  readonly stderr: string;
  /** stderr's lines, parsed. */
  readonly log: readonly LogLine[];
}

/** Settings under which failures come quickly, except for stalls: a busy machine may pause too. The cache is `<directory>/cache`. */
export function testEnvironment(dir: string, endpoint: string, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  return {
    HF_ENDPOINT: endpoint,
    HF_HUB_CACHE: join(dir, 'cache'),
    // Where no token is.
    HF_HOME: join(dir, 'home'),
    ASR_MODEL: 'acme/speech',
    VISION_MODEL_NAME: 'none',
    DOWNLOAD_PAUSE_SECONDS: '0.01',
    DOWNLOAD_ATTEMPTS: '4',
    DOWNLOAD_STALL_SECONDS: '30',
    DOWNLOAD_PIECE_MIB: '0.0625',
    ...more,
  };
}

/** Options of a run in addition to its arguments. */
export interface RunHereOptions {
  readonly signal?: AbortSignal;
  readonly stdin?: Readable;
  /** Called when the program waits for another one. */
  readonly onWait?: () => void;
}

/** Runs the program in this process. */
export async function runHere(
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  options: RunHereOptions = {},
): Promise<ProgramResult> {
  const { signal = new AbortController().signal, stdin = Readable.from([]), onWait } = options;
  const stdout = new Collector();
  const stderr = new Collector((line) => {
    if (line.includes('"event":"wait"')) onWait?.();
  });
  const status = await run({ argv, env, stdin, stdout, stderr, signal });
  const text = stderr.bytes.toString();
  return { status, stdout: stdout.bytes.toString(), stdoutBytes: stdout.bytes, stderr: text, log: parseLog(text) };
}

/** Keeps what is written to it. */
class Collector extends Writable {
  readonly #chunks: Buffer[] = [];

  constructor(private readonly onLine: (line: Buffer) => void = () => {}) {
    super();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#chunks.push(chunk);
    this.onLine(chunk);
    done();
  }
}

/** The run ended well, and every byte on the volume is right. `env` is the one to verify it with. */
export async function expectVerified(result: ProgramResult, env: NodeJS.ProcessEnv): Promise<void> {
  expect(result.status, result.stderr).to.equal(0);
  const verified = await runHere(['verify'], env);
  expect(verified.status, verified.stderr).to.equal(0);
}

/** The log's last line: the summary or the error. */
export function lastLine(result: ProgramResult): LogLine {
  const line = result.log.at(-1);
  if (line === undefined) throw new Error('the program logged nothing');
  return line;
}

function parseLog(stderr: string): LogLine[] {
  return stderr
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as LogLine);
}
