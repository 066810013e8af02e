import { createHash } from 'node:crypto';
import { chmod, lstat, mkdir, open, readdir, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { resumableBytes } from '../src/transfer/leftovers.js';
import { startChild } from './support/child.js';
import { lastLine, runHere, testEnvironment } from './support/program.js';
import { ENCODER, SPEECH_REPOSITORY, seededBytes, speechRepository } from './support/repositories.js';
import { useHub } from './support/use-hub.js';
import { asAnotherUser, whenTrue } from './support/volume.js';

const ENCODER_BYTES = 4_000_000;
const onEncoder = { kind: 'bytes', file: ENCODER } as const;

describe('a resumed download', () => {
  const { dir, hub } = useHub({ repositories: [speechRepository({ encoderBytes: ENCODER_BYTES })] });
  let blobs: string;
  let oid: string;
  const env = (more: NodeJS.ProcessEnv = {}) =>
    testEnvironment(dir.path, hub.url, { DOWNLOAD_PIECE_MIB: '0.5', DOWNLOAD_ATTEMPTS: '1', ...more });

  beforeEach(async () => {
    blobs = join(dir.path, 'cache', 'models--acme--speech', 'blobs');
    oid = hub.commit(SPEECH_REPOSITORY).files.get(ENCODER)?.lfsOid ?? '';
  });

  const encoderBytesSent = () =>
    hub.requests.filter({ kind: 'bytes', file: ENCODER }).reduce((sum, request) => sum + request.bytesSent, 0);

  const leftovers = async () => (await readdir(blobs)).filter((name) => name.includes('.incomplete'));

  async function finish(left = 0): Promise<number> {
    hub.faults.clear();
    hub.requests.clear();
    const result = await runHere([], env());
    expect(result.status, result.stderr).to.equal(0);
    expect((await runHere(['verify'], env())).status).to.equal(0);
    expect(await leftovers()).to.have.length(left);
    return encoderBytesSent();
  }

  it('fetches after a broken run only what that run had not fetched', async () => {
    hub.faults.add({ on: onEncoder, do: { type: 'drop', atByte: 3_000_000 } });
    expect((await runHere([], env({ DOWNLOAD_CONNECTIONS: '1' }))).status).to.equal(5);
    expect(await finish()).to.equal(1_000_000);
  });

  it('ends well where another machine, whose locks are not seen, has finished the file and removed what was received', async () => {
    const until = hub.requests.next(onEncoder).then(async () => {
      await writeFile(join(blobs, oid), seededBytes(ENCODER_BYTES, 'encoder one'));
      for (const name of await readdir(blobs)) if (name.startsWith(`${oid}.`)) await rm(join(blobs, name));
    });
    hub.faults.add({ on: onEncoder, do: { type: 'delay', until }, times: 1 });
    const { status, stderr } = await runHere([], env());
    expect(status, stderr).to.equal(0);
    expect(await leftovers()).to.deep.equal([]);
  });

  it('shows in the plan what an earlier run left', async () => {
    hub.faults.add({ on: onEncoder, do: { type: 'drop', atByte: 3_000_000 } });
    await runHere([], env({ DOWNLOAD_CONNECTIONS: '1' }));
    const made = JSON.parse((await runHere(['plan', '--json'], env())).stdout);
    expect(made.fetch.resumedBytes).to.equal(3_000_000);
  });

  it('fetches after kill -9 less than a checkpoint more than was missing', async () => {
    hub.faults.add({ on: onEncoder, do: { type: 'stall', atByte: 3_000_000 } });
    const child = startChild([], env({ DOWNLOAD_STALL_SECONDS: '60', DOWNLOAD_CONNECTIONS: '1', DOWNLOAD_FILES: '1' }));
    await whenTrue(async () => (await journalText()).includes(',2621440]'));
    child.process.kill('SIGKILL');
    expect((await child.ended).status).to.equal(null);
    expect(await finish()).to.be.lessThan(1_000_000 + 512 * 1024);
  });

  async function journalText(): Promise<string> {
    const names = (await readdir(blobs).catch(() => [])).filter(
      (name) => name.startsWith(oid) && name.endsWith('.journal'),
    );
    const texts = await Promise.all(names.map((name) => readFile(join(blobs, name), 'utf8').catch(() => '')));
    return texts.join('');
  }

  it('resumes across a new signed address', async () => {
    hub.faults.add({ on: onEncoder, do: { type: 'drop', atByte: 3_000_000 } });
    await runHere([], env({ DOWNLOAD_CONNECTIONS: '1' }));
    hub.faults.clear();
    hub.faults.add({ on: { server: 'cdn', file: ENCODER }, do: { type: 'expire' }, times: 1 });
    hub.requests.clear();
    expect((await runHere([], env({ DOWNLOAD_ATTEMPTS: '3' }))).status).to.equal(0);
    expect(encoderBytesSent()).to.be.within(1_000_000, 1_001_000);
  });

  it('re-reads what was left, and fetches again only the damaged range', async () => {
    hub.faults.add({ on: onEncoder, do: { type: 'drop', atByte: 3_000_000 } });
    await runHere([], env({ DOWNLOAD_CONNECTIONS: '1' }));
    const [partial] = (await leftovers()).filter((name) => name.startsWith(oid) && name.endsWith('.incomplete'));
    const file = await open(join(blobs, partial ?? ''), 'r+');
    await file.write(Buffer.from('damaged'), 0, 7, 1_500_000);
    await file.close();
    expect(await finish()).to.be.within(1_100_000, 1_000_000 + 1024 * 1024);
  });

  it('publishes no byte that was appended to what was left', async () => {
    hub.faults.add({ on: onEncoder, do: { type: 'drop', atByte: 3_000_000 } });
    await runHere([], env({ DOWNLOAD_CONNECTIONS: '1' }));
    const [partial] = (await leftovers()).filter((name) => name.startsWith(oid) && name.endsWith('.incomplete'));
    await truncate(join(blobs, partial ?? ''), ENCODER_BYTES + 5_000);
    await finish();
    expect((await stat(join(blobs, oid))).size).to.equal(ENCODER_BYTES);
  });

  it('writes nothing through a link in the place of what was left', async () => {
    await mkdir(blobs, { recursive: true });
    const outside = join(dir.path, 'outside');
    const bytes = seededBytes(2_500_000, 'encoder one');
    await writeFile(outside, bytes);
    await symlink(outside, join(blobs, `${oid}.0a1b2c3d.incomplete`));
    expect(await finish()).to.equal(ENCODER_BYTES);
    expect((await lstat(join(blobs, oid))).isFile()).to.equal(true);
    expect((await readFile(outside)).equals(bytes)).to.equal(true);
  });

  it('does not resume what this user may not write: it is of another user who shares the cache', async () => {
    await mkdir(blobs, { recursive: true });
    const finalPath = join(blobs, oid);
    const left = `${finalPath}.0a1b2c3d.incomplete`;
    await writeFile(left, 'abc', { mode: 0o644 });
    const file = { finalPath, sizeBytes: 5, hash: { type: 'sha256', value: oid } } as const;
    expect(await resumableBytes(file)).to.equal(3);
    const user = process.geteuid?.() ?? 0;
    await chmod(left, 0o444);
    // The directories of a test are of mode 700.
    for (const path of [dirname(dir.path), dir.path]) await chmod(path, 0o755);
    if (user === 0) process.seteuid?.(65_534);
    try {
      expect(await resumableBytes(file)).to.equal(0);
    } finally {
      if (user === 0) process.seteuid?.(0);
    }
  });

  for (const [what, mode, fetched, left] of [
    ['resumes what another user left for the group to write, and may not change its mode', 0o777, 1_500_000, 0],
    ['leaves that to its user where the directory has the sticky bit', 0o1777, ENCODER_BYTES, 1],
  ] as const) {
    it(what, async function () {
      await mkdir(blobs, { recursive: true });
      const file = join(blobs, `${oid}.0a1b2c3d.incomplete`);
      await writeFile(file, seededBytes(2_500_000, 'encoder one'));
      await chmod(file, 0o666);
      const cache = join(dir.path, 'cache');
      for (const path of [dir.path, cache, dirname(blobs), blobs]) await chmod(path, mode);
      await asAnotherUser(this, blobs, async () => expect(await finish(left)).to.equal(fetched));
    });
  }

  it('resumes what huggingface_hub left, which has no journal', async () => {
    await mkdir(blobs, { recursive: true });
    const bytes = seededBytes(ENCODER_BYTES, 'encoder one');
    expect(createHash('sha256').update(bytes).digest('hex')).to.equal(oid);
    await writeFile(join(blobs, `${oid}.0a1b2c3d.incomplete`), bytes.subarray(0, 2_500_000));
    expect(await finish()).to.equal(1_500_000);
  });

  it('fetches everything when what was left is not the beginning of the file', async () => {
    await mkdir(blobs, { recursive: true });
    await writeFile(join(blobs, `${oid}.incomplete`), seededBytes(2_500_000, 'other bytes'));
    expect(await finish()).to.equal(1_500_000 + ENCODER_BYTES);
  });

  it('keeps what it has when a captive portal answers with its own page', async () => {
    hub.faults.add({ on: onEncoder, do: { type: 'drop', atByte: 3_000_000 } });
    await runHere([], env({ DOWNLOAD_CONNECTIONS: '1' }));
    hub.faults.clear();
    hub.faults.add({ on: onEncoder, do: { type: 'status', status: 200, body: '<html>login</html>' } });
    const result = await runHere([], env());
    expect(lastLine(result)).to.include({ code: 'SIZE_MISMATCH' });
    expect(result.status).to.equal(7);
    expect(await finish()).to.equal(1_000_000);
  });

  it('keeps what it has when a server answers 416 to the rest', async () => {
    hub.faults.add({ on: onEncoder, do: { type: 'drop', atByte: 3_000_000 } });
    await runHere([], env({ DOWNLOAD_CONNECTIONS: '1' }));
    hub.faults.clear();
    hub.faults.add({ on: onEncoder, do: { type: 'status', status: 416 } });
    expect(lastLine(await runHere([], env()))).to.include({ code: 'SIZE_MISMATCH' });
    expect(await finish()).to.equal(1_000_000);
  });

  it('passes one answer of the wrong size and resumes in the same run', async () => {
    hub.faults.add({ on: onEncoder, do: { type: 'drop', atByte: 3_000_000 } });
    await runHere([], env({ DOWNLOAD_CONNECTIONS: '1' }));
    hub.faults.clear();
    hub.faults.add({ on: onEncoder, do: { type: 'status', status: 200, body: '<html>' }, times: 1 });
    hub.requests.clear();
    expect((await runHere([], env())).status).to.equal(0);
    expect(encoderBytesSent()).to.be.within(1_000_000, 1_000_100);
  });

  it('does not resume what is longer than the file, and removes it afterwards', async () => {
    await mkdir(blobs, { recursive: true });
    await writeFile(join(blobs, `${oid}.0a1b2c3d.incomplete`), seededBytes(ENCODER_BYTES + 1, 'encoder one'));
    expect(await finish()).to.equal(ENCODER_BYTES);
  });

  it('passes over a journal that was cut in the middle of a line', async () => {
    hub.faults.add({ on: onEncoder, do: { type: 'drop', atByte: 3_000_000 } });
    await runHere([], env({ DOWNLOAD_CONNECTIONS: '1' }));
    const [journal] = (await leftovers()).filter((name) => name.startsWith(oid) && name.endsWith('.journal'));
    const path = join(blobs, journal ?? '');
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.slice(0, -20));
    expect(await finish()).to.be.within(1_000_000, 1_000_000 + 512 * 1024);
  });

  it('starts again with a server that no longer obeys ranges, and ends with the right bytes', async () => {
    hub.faults.add({ on: onEncoder, do: { type: 'drop', atByte: 3_000_000 } });
    await runHere([], env({ DOWNLOAD_CONNECTIONS: '1' }));
    hub.faults.clear();
    hub.faults.add({ on: onEncoder, do: { type: 'ignore-range' } });
    hub.requests.clear();
    const result = await runHere([], env());
    expect(result.status, result.stderr).to.equal(0);
    expect(encoderBytesSent()).to.equal(ENCODER_BYTES);
  });
});
