import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('../../../bin/heimdex-downloader.js', import.meta.url));

/** The program in a process of its own. */
export interface Child {
  readonly process: ChildProcessByStdio<null, Readable, Readable>;
  /** Resolves when it has ended. */
  readonly ended: Promise<ChildResult>;
}

export interface ChildResult {
  /** Null when it was killed. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts the program. It sees no variable but those given and PATH. */
export function startChild(argv: readonly string[], env: NodeJS.ProcessEnv): Child {
  const { PATH } = process.env;
  const child = spawn(process.execPath, [PROGRAM, ...argv], {
    env: { ...env, PATH },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return { process: child, ended: collect(child) };
}

/** Runs the program to its end. */
export function runChild(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<ChildResult> {
  return startChild(argv, env).ended;
}

async function collect(child: ChildProcessByStdio<null, Readable, Readable>): Promise<ChildResult> {
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, stdout, stderr };
}
