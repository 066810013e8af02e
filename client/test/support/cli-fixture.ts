import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FakeInference, startFakeInference } from './fake-inference.js';
import { type CommandInput, type CommandResult, heimdex } from './run.js';

/** A fake server and an empty directory for one test of the command line. */
export interface CliFixture {
  readonly server: FakeInference;
  readonly dir: string;
  /** Runs `heimdex` against the server. */
  run(args: readonly string[], input?: CommandInput): Promise<CommandResult>;
  /** Writes a file into the directory and returns its path. */
  file(name: string, content: string | Uint8Array): Promise<string>;
  close(): Promise<void>;
}

/** Creates a new fixture for each test of a describe block. Use the result only inside tests. */
export function useCli(): Omit<CliFixture, 'close'> {
  let open: CliFixture | undefined;
  beforeEach(async () => {
    open = await openCliFixture();
  });
  afterEach(() => open?.close());
  const fixture = (): CliFixture => {
    if (open === undefined) throw new Error('the fixture is available only inside tests');
    return open;
  };
  return {
    get server() {
      return fixture().server;
    },
    get dir() {
      return fixture().dir;
    },
    run: (args, input) => fixture().run(args, input),
    file: (name, content) => fixture().file(name, content),
  };
}

async function openCliFixture(): Promise<CliFixture> {
  const server = await startFakeInference();
  const dir = await mkdtemp(join(tmpdir(), 'heimdex-cli-'));
  return {
    server,
    dir,
    run: (args, input = {}) => heimdex(args, { address: server.address, ...input }),
    file: async (name, content) => {
      await writeFile(join(dir, name), content);
      return join(dir, name);
    },
    close: async () => {
      server.close();
      await rm(dir, { recursive: true });
    },
  };
}
