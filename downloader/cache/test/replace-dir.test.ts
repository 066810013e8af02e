import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { replaceDir } from '../src/index.js';
import { useTempDir } from './support/temp-dir.js';

const MODULE = new URL('../src/replace-dir.js', import.meta.url).href;
/** Mounts the overlay of $0/lower and $0/upper for the command alone. Its working directory is left as its owner may remove it. */
const OVERLAY =
  'mount -t overlay overlay -o "lowerdir=$0/lower,upperdir=$0/upper,workdir=$0/work,userxattr" "$0/merged" && "$@" && chmod -R u+rwX "$0/work"';
const REPLACE = `const { replaceDir } = await import('${MODULE}'); await replaceDir(process.argv[1], process.argv[2]);`;

describe('a directory that gets its final name', () => {
  const dir = useTempDir();

  async function make(name: string, text: string): Promise<string> {
    await mkdir(join(dir(), name), { recursive: true });
    await writeFile(join(dir(), name, 'file'), text);
    return join(dir(), name);
  }

  it('takes the place of the one that has it, if there is one', async () => {
    const final = join(dir(), 'final');
    for (const text of ['first', 'second']) {
      await replaceDir(await make('new', text), final);
      expect(await readFile(join(final, 'file'), 'utf8')).to.equal(text);
      expect(await readdir(dir())).to.deep.equal(['final']);
    }
  });

  it('takes the place of one of a layer below, which an overlay file system does not move', async function () {
    const final = await make('lower/final', 'first');
    const made = await make('upper/new', 'second');
    for (const name of ['work', 'merged']) await mkdir(join(dir(), name));
    const overlay = (...command: string[]) =>
      execFileSync('unshare', ['-rm', 'sh', '-c', OVERLAY, dir(), ...command], { stdio: ['ignore', 'ignore', 'pipe'] });
    try {
      overlay('true');
    } catch {
      console.log('      skipped: overlay mounts are not permitted here');
      return this.skip();
    }
    const merged = [made.replace('upper', 'merged'), final.replace('lower', 'merged')];
    overlay(process.execPath, '--input-type=module', '-e', REPLACE, ...merged);
    expect(await readFile(join(dir(), 'upper/final/file'), 'utf8')).to.equal('second');
  });
});
