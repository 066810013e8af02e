import { execFile, spawnSync } from 'node:child_process';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import type { EmbeddedServer } from './embedded.js';
import { ROOT, read } from './support.js';

const execute = promisify(execFile);
/** A Python with grpcio and setuptools; .ci/peers makes one. */
const PYTHON = process.env.HEIMDEX_TEST_PYTHON ?? 'python3';
const PACKAGE = join(ROOT, 'client/python');

/** A program that is checked with the package. */
const CALLER = `
from heimdex_client import HeimdexClient

def speak(client: HeimdexClient, chunks: list[bytearray]) -> None:
    client.transcribe_stream(chunks)
    client.transcribe_stream([memoryview(chunk) for chunk in chunks])
`;

function imports(...modules: string[]): boolean {
  return spawnSync(PYTHON, ['-c', `import ${modules.join(', ')}`]).status === 0;
}

/** Tests the Python client on a server with MAX_BATCH_ITEMS=24 and MAX_MESSAGE_MIB=4. Call it inside `describe`. */
export function testPythonClient(served: () => EmbeddedServer): void {
  let dir: string;
  let site: string;
  let env: NodeJS.ProcessEnv;

  before(async function () {
    if (!imports('setuptools', 'pip', 'grpc', 'google.protobuf.runtime_version')) {
      console.log('      skipped: needs Python with grpcio, protobuf, pip and setuptools (source .ci/peers)');
      this.skip();
    }
    dir = await mkdtemp(join(tmpdir(), 'heimdex-python-'));
    site = join(dir, 'site');
    env = { ...process.env, PYTHONPATH: site, PYTHONDONTWRITEBYTECODE: '1', PIP_DISABLE_PIP_VERSION_CHECK: '1' };
    env.HEIMDEX_ADDRESS = served().address;
    await install();
  });
  after(async () => {
    if (dir !== undefined) await rm(dir, { recursive: true, force: true });
  });

  /** Builds the wheel and installs it where PYTHONPATH looks, without a network. */
  async function install(): Promise<void> {
    // setuptools builds inside the directory that it is given, and takes what an earlier build has left there for current.
    const copy = join(dir, 'package');
    await cp(PACKAGE, copy, { recursive: true, filter: (path) => path !== join(PACKAGE, 'build') });
    const offline = ['--no-deps', '--no-build-isolation', '--no-index', '--no-compile', '--quiet'];
    await execute(PYTHON, ['-m', 'pip', 'install', ...offline, '--target', site, copy], { env });
  }

  it('passes its own tests, installed from its wheel, on a real server', async () => {
    const tests = join(PACKAGE, 'tests');
    const { stderr } = await execute(PYTHON, ['-m', 'unittest', 'discover', '--start-directory', tests], { env });
    expect(stderr).to.match(/^Ran \d+ tests in .*\n\nOK/m);
  });

  it('has a class for every error code of the server', async () => {
    const print = 'from heimdex_client import HeimdexError; print(*HeimdexError.by_reason)';
    const { stdout } = await execute(PYTHON, ['-c', print], { env });
    const codes = [...read('docs/reference.md').matchAll(/^\| `([A-Z_]+)` \| `[A-Z_]+` \(\d+\) \| \d{3} \|/gm)].map(
      ([, code]) => code,
    );
    expect(codes).to.have.length.above(15);
    expect(stdout.trim().split(' ')).to.include.members(codes);
  });

  it('runs the program of its README', async () => {
    const [, program = ''] = /```python\n([\s\S]*?)```/.exec(read('client/python/README.md')) ?? [];
    const { stdout } = await execute(PYTHON, ['-c', program.replace('localhost:8001', served().address)], {
      cwd: ROOT,
      env,
    });
    expect(stdout)
      .to.match(/You can search a video/)
      .and.to.match(/best: .*06-elephant\.jpg/);
  });

  it('type-checks strictly', async function () {
    if (!imports('mypy')) {
      console.log('      skipped: needs mypy (source .ci/peers)');
      this.skip();
    }
    await writeFile(join(dir, 'caller.py'), CALLER);
    const checked = ['-m', 'mypy', '-p', 'heimdex_client', '-m', 'caller'];
    // Where .ci/peers has set it, mypy keeps what it has read of the libraries: most of its time.
    const { MYPY_CACHE_DIR = join(dir, 'mypy') } = process.env;
    await execute(PYTHON, checked, { cwd: PACKAGE, env: { ...process.env, MYPYPATH: dir, MYPY_CACHE_DIR } });
  });
}
