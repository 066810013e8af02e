import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { HashPool } from '../src/hash-pool.js';

describe('HashPool', () => {
  let dir: string;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'heimdex-hash-'));
    await writeFile(join(dir, 'file'), 'hello\n');
  });
  after(() => rm(dir, { recursive: true }));

  it('hashes more files than it has threads, and rejects those that cannot be read', async () => {
    const pool = new HashPool(2);
    const names = ['file', 'absent', 'file', 'file', 'absent', 'file'];
    const hashes = names.map((name) => pool.hash({ type: 'git-sha1', path: join(dir, name) }));
    const settled = await Promise.allSettled(hashes);
    await pool.close();
    expect(
      settled.map((one) => (one.status === 'fulfilled' ? one.value : one.reason.message.split(':')[0])),
    ).to.deep.equal(names.map((name) => (name === 'file' ? 'ce013625030ba8dba906f756967f9e9ca394464a' : 'ENOENT')));
  });

  it('rejects the hashes that it has begun, those that wait and later ones when it is closed', async () => {
    const pool = new HashPool(1);
    const task = { type: 'sha256', path: join(dir, 'file') } as const;
    const pending = [pool.hash(task), pool.hash(task)];
    const closed = Promise.all([pool.close(), pool.close()]);
    const settled = await Promise.allSettled([...pending, pool.hash(task)]);
    await closed;
    expect(settled.map((one) => (one.status === 'rejected' ? one.reason.message : one.value))).to.deep.equal([
      'The hash pool was closed',
      'The hash pool was closed',
      'The hash pool is closed',
    ]);
  });
});
