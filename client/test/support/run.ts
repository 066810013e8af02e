import { PassThrough, Readable } from 'node:stream';
import { runCli } from '../../src/cli/program.js';

/** Output and exit status of a command. */
export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandInput {
  readonly address?: string;
  readonly stdin?: string | AsyncIterable<Uint8Array>;
  /** Called with the complete standard output after each write. */
  readonly watch?: (stdout: string) => void;
  readonly env?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
  /** Both outputs are terminals, 100 characters wide. */
  readonly terminal?: boolean;
  /** Another width of these; 0: unknown, as of docker run -t. */
  readonly columns?: number;
}

/** Runs `heimdex` in this process. */
export async function heimdex(args: readonly string[], input: CommandInput = {}): Promise<CommandResult> {
  const stdout = capture(input, input.watch);
  const stderr = capture(input);
  const exitCode = await runCli(args, {
    stdin: Readable.from(typeof input.stdin === 'string' ? [Buffer.from(input.stdin)] : (input.stdin ?? [])),
    stdout: stdout.stream,
    stderr: stderr.stream,
    env: { ...(input.address !== undefined && { HEIMDEX_ADDRESS: input.address }), ...input.env },
    signal: input.signal ?? new AbortController().signal,
  });
  return { exitCode, stdout: stdout.text(), stderr: stderr.text() };
}

/** The documents of an output of `--json`, one a line. */
export function documentsIn(stdout: string) {
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

function capture({ terminal = false, columns = 100 }: CommandInput, watch?: (text: string) => void) {
  const chunks: Buffer[] = [];
  const stream = new PassThrough();
  stream.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    watch?.(Buffer.concat(chunks).toString());
  });
  return {
    stream: Object.assign(stream, { isTTY: terminal, columns }),
    text: () => Buffer.concat(chunks).toString(),
  };
}
