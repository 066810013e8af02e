import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { InferenceService } from '@heimdex/gen';
import { expect } from 'chai';
import { EXIT_CODES } from '../../src/exit-codes.js';
import { hasDefaultMalloc, MALLOC_SETTINGS, V8_FLAGS } from '../../src/process/malloc-settings.js';
import { GrpcClient } from '../fixtures/grpc-client.js';
import { NO_FACES, pocketServer } from '../fixtures/pocket.js';
import type { ServedVolume } from '../fixtures/serve-volume.js';
import { runProgram, PROGRAM as SERVER } from '../fixtures/server-process.js';
import { inRepository } from '../support/paths.js';

/** Prints the process id and a setting after the restart. */
const PROGRAM = `
  import { restartWithMallocSettings } from '${inRepository('inference/dist/src/process/malloc-settings.js')}';
  restartWithMallocSettings(process.env);
  console.log(JSON.stringify({ arenas: process.env.MALLOC_ARENA_MAX, args: process.argv.slice(1) }));
`;

function printed(env: NodeJS.ProcessEnv): unknown {
  const args = ['--input-type=module', '--eval', PROGRAM, 'first', 'second'];
  const { stdout, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
  expect(stderr).to.equal('');
  return JSON.parse(stdout);
}

describe('the memory settings of the serving process', () => {
  it('are those of the images', () => {
    for (const name of ['inference', 'inference.cuda']) {
      const text = readFileSync(inRepository(`deploy/${name}.Dockerfile`), 'utf8');
      const settings = [...text.matchAll(/(MALLOC_\w+)=(\d+)/g)].map(([, key, value]) => [key, value]);
      expect(Object.fromEntries(settings)).to.deep.equal(MALLOC_SETTINGS);
      expect(text).to.include(`ENTRYPOINT ["node", ${V8_FLAGS.map((flag) => `"${flag}"`).join(', ')}, `);
    }
  });

  it('are unchanged if some are set, and outside Linux', () => {
    expect(hasDefaultMalloc({}, 'linux')).to.equal(true);
    expect(hasDefaultMalloc({ MALLOC_ARENA_MAX: '1' }, 'linux')).to.equal(false);
    expect(hasDefaultMalloc({ GLIBC_TUNABLES: 'glibc.malloc.arena_max=1' }, 'linux')).to.equal(false);
    expect(hasDefaultMalloc({}, 'darwin')).to.equal(false);
  });

  it('are set by a restart with the same arguments, if Node.js can replace a process', function () {
    if (process.platform !== 'linux') this.skip();
    const arenas = process.execve === undefined ? {} : { arenas: '1' };
    expect(printed({})).to.deep.equal({ ...arenas, args: ['first', 'second'] });
    expect(printed({ MALLOC_ARENA_MAX: '3' })).to.deep.equal({ arenas: '3', args: ['first', 'second'] });
  });
});

/** Node.js that can replace a process: that of the tests, or HEIMDEX_TEST_NODE24. */
const NODE = process.execve === undefined ? process.env.HEIMDEX_TEST_NODE24 || undefined : process.execPath;

describe('the restart of the server with the memory settings', () => {
  before(function () {
    if (process.platform === 'linux' && NODE !== undefined) return;
    console.log('      skipped: needs Linux, and Node.js 22.15 or later, which HEIMDEX_TEST_NODE24 may name');
    this.skip();
  });

  describe('once it serves', () => {
    let pocket: ServedVolume;
    let command: readonly string[];
    before(async () => {
      command = [String(NODE), '--stack-trace-limit=20'];
      pocket = await pocketServer({ ...NO_FACES, MAX_QUEUE: '77' }, { node: command });
    });
    after(() => pocket?.stop());

    const ofProcess = async (file: string) => {
      const text = await readFile(`/proc/${pocket.server.child.pid}/${file}`, 'utf8');
      return text.split('\0').slice(0, -1);
    };

    it('left it the process id and the arguments, and added the settings to its environment', async () => {
      expect(await ofProcess('cmdline')).to.deep.equal([command[0], ...V8_FLAGS, ...command.slice(1), SERVER]);
      const environment = await ofProcess('environ');
      const settings = Object.entries(MALLOC_SETTINGS).map(([name, value]) => `${name}=${value}`);
      expect(environment).to.include.members([...settings, 'MAX_QUEUE=77']);
    });

    it('happened once, and wrote nothing', () => {
      expect(pocket.server.log.filter(({ msg }) => msg === 'Ready')).to.have.length(1);
      expect(pocket.server.stderr()).to.equal('');
    });

    it('left it able to answer calls, and to end with 0 after SIGTERM', async () => {
      const client = new GrpcClient(pocket.server.address);
      const { results } = await client.value(InferenceService.method.embedText, { texts: ['a red heart'] });
      client.close();
      expect(results.map(({ result }) => result.case)).to.deep.equal(['embedding']);
      expect(await pocket.server.stop('SIGTERM')).to.equal(EXIT_CODES.ok);
      // Not as the last line: on a busy machine one that was being written may come after it.
      await pocket.server.logged('ended');
    });
  });

  it('keeps the exit status and what was said, also of --version', async () => {
    const wrong = await runProgram({ PORT: 'eight' }, [], [], NODE);
    expect(wrong.code).to.equal(EXIT_CODES.configuration);
    expect(wrong.stderr).to.include('PORT').and.include('eight');
    const { version } = JSON.parse(readFileSync(inRepository('inference/package.json'), 'utf8')) as { version: string };
    expect(await runProgram({}, ['--version'], [], NODE)).to.deep.equal({
      code: 0,
      stdout: `${version}\n`,
      stderr: '',
    });
  });
});
