import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { temporaryDir } from './support/volume.js';

const BYTES = 9_000_000;

/** Hashes files, more than may be open, where the limit of open files leaves none for a thread, and prints the hashes. */
const PROGRAM = `
import { closeSync, openSync } from 'node:fs';
const from = (path) => import(new URL(path, ${JSON.stringify(import.meta.url)}).href);
const { HashPool } = await from('../../cache/dist/src/hash-pool.js');
const { HashThread } = await from('../src/transfer/hash-thread.js');
const task = { path: process.argv[1], type: 'sha256' };
const files = [];
try {
  for (;;) files.push(openSync('/dev/null'));
} catch {}
for (const file of files.splice(0, 5)) closeSync(file);
const pool = new HashPool(2);
const hashes = await Promise.all(Array.from({ length: 12 }, () => pool.hash(task)));
const thread = new HashThread();
const hasher = await thread.open({ ...task, sizeBytes: ${BYTES} });
hashes.push(await hasher.advance(${BYTES}));
process.stdout.write(JSON.stringify([...new Set(hashes)]));
process.exit();
`;

describe('without open files left for a thread', () => {
  const dir = temporaryDir();

  it('files are hashed, and none is called unreadable', async function () {
    if (process.platform === 'win32') return this.skip();
    const path = join(dir.path, 'zeros');
    await writeFile(path, Buffer.alloc(BYTES));
    const shell = [
      '-c',
      'ulimit -n 128 && exec "$0" --input-type=module -e "$1" "$2"',
      process.execPath,
      PROGRAM,
      path,
    ];
    const { stdout } = await promisify(execFile)('sh', shell);
    expect(JSON.parse(stdout)).to.deep.equal(['177ffe9ef4bc54e6880afccabfbdb0273a15b89c0e663eabeeb8e9cda211f21f']);
  });
});
