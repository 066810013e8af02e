import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { hasDefaultMalloc, MALLOC_SETTINGS } from '../../src/malloc-settings.js';
import { inRepository } from '../support/paths.js';

/** Prints the process id and a setting after the restart. */
const PROGRAM = `
  import { restartWithMallocSettings } from '${inRepository('inference/dist/src/malloc-settings.js')}';
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
    const arenas = process.execve === undefined ? {} : { arenas: '2' };
    expect(printed({})).to.deep.equal({ ...arenas, args: ['first', 'second'] });
    expect(printed({ MALLOC_ARENA_MAX: '1' })).to.deep.equal({ arenas: '1', args: ['first', 'second'] });
  });
});
