import { fstatSync } from 'node:fs';
import { type FileHandle, open, realpath, rm, stat, symlink, truncate } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { lastLine, runHere } from './support/program.js';
import { ENCODER, SPEECH_REPOSITORY } from './support/repositories.js';
import { useHub } from './support/use-hub.js';

describe('heimdex-downloader plan and verify', () => {
  const { dir, hub, env, filled } = useHub({ scope: 'suite' });

  const encoderPath = () =>
    join(dir.path, 'cache', 'models--acme--speech', 'snapshots', hub.commit(SPEECH_REPOSITORY).sha, ENCODER);

  /** Turns one bit of a file, which keeps its size. */
  async function damage(path: string): Promise<void> {
    const file = await open(path, 'r+');
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, 4321);
    await file.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, 4321);
    await file.close();
  }

  it('plan shows the files and bytes without fetching a file', async () => {
    const result = await runHere(['plan', '--json'], env());
    expect(result.status, result.stderr).to.equal(0);
    const made = JSON.parse(result.stdout);
    expect(made.fetch.files).to.equal(7);
    expect(made.models[0].files.find((file: { path: string }) => file.path === ENCODER)).to.include({
      action: 'fetch',
      bytes: 700_000,
    });
    expect(hub.requests.filter({ kind: 'bytes' })).to.deep.equal([]);
  });

  it('plan as text names each file and ends with the next command to run', async () => {
    const result = await runHere(['plan'], env());
    expect(result.stdout)
      .to.include(ENCODER)
      .and.match(/Next: heimdex-downloader download\n$/);
  });

  it('plan names every model that the hub does not have or that cannot be served', async () => {
    const models = { ASR_MODEL: 'acme/absent', LOAD_BGE_M3: 'true', TEXT_MODEL_NAME: SPEECH_REPOSITORY };
    const result = await runHere(['plan'], env(models));
    const { msg, code } = lastLine(result);
    expect({ status: result.status, code }).to.deep.equal({ status: 4, code: 'AUTH_REQUIRED' });
    expect(msg).to.match(/^2 models cannot be used:\n {2}.*acme\/absent.*\n {2}.*TEXT_MODEL_NAME/);
  });

  it('plan has nothing to fetch after a download', async () => {
    await filled();
    const made = JSON.parse((await runHere(['plan', '--json'], env())).stdout);
    expect(made.fetch).to.deep.equal({ files: 0, bytes: 0, resumedBytes: 0 });
    expect(made.present.files).to.equal(7);
    expect((await runHere(['plan'], env())).stdout).to.match(/^0 bytes to fetch\. Present: 7 files, [\d.]+ MB\.\n$/m);
  });

  it('plan names the next command where files only have to be verified', async () => {
    await filled();
    await rm(join(dir.path, 'cache', 'models--acme--speech', 'snapshots'), { recursive: true });
    expect((await runHere(['plan'], env())).stdout).to.match(
      /^0 bytes to fetch\. .* Next: heimdex-downloader download\n$/m,
    );
  });

  it('plan, verify and download have a file fetched again whose bytes the disk does not read', async () => {
    await filled();
    const { ino } = await stat(encoderPath());
    const handle = await open(encoderPath());
    const prototype: Pick<FileHandle, 'read'> = Object.getPrototypeOf(handle);
    const { read } = prototype;
    prototype.read = function (this: FileHandle, ...args: unknown[]) {
      if (fstatSync(this.fd).ino !== ino) return Reflect.apply(read, this, args);
      return Promise.reject(Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' }));
    } as typeof read;
    try {
      const verified = await runHere(['verify'], env());
      expect(verified.status).to.equal(6);
      expect(lastLine(verified).msg).to.match(/EIO: i\/o error.* Run heimdex-downloader download --check/);
      expect((await runHere(['plan', '--check'], env())).stdout).to.match(
        /Next: heimdex-downloader download --check\n$/,
      );
      const result = await runHere(['download', '--check'], env());
      expect(result.status, result.stderr).to.equal(0);
      expect((await runHere(['verify'], env())).status).to.equal(0);
    } finally {
      prototype.read = read;
      await handle.close();
    }
  });

  for (const next of ['http://[', 'ftp://elsewhere/list']) {
    it(`plan reports a file list that continues at ${next}: exit 5`, async () => {
      const headers = { 'content-type': 'application/json', link: `<${next}>; rel="next"` };
      hub.faults.add({ on: { kind: 'tree' }, do: { type: 'status', status: 200, headers, body: '[]' }, times: 1 });
      const result = await runHere(['plan'], env());
      expect(result.status, result.stderr).to.equal(5);
      expect(lastLine(result)).to.include({ code: 'ANSWER_INVALID' });
    });
  }

  it('plan reads a file list to its end, whatever else the address of a next page has', async () => {
    const next = `/api/models/acme/speech/tree/${hub.commit('acme/speech').sha}?recursive=true`;
    const link = `</first>; rel="prev", <${next}>; title="more"; rel="next"`;
    const headers = { 'content-type': 'application/json', link };
    hub.faults.add({ on: { kind: 'tree' }, do: { type: 'status', status: 200, headers, body: '[]' }, times: 1 });
    const result = await runHere(['plan', '--json'], env());
    expect(result.status, result.stderr).to.equal(0);
    expect(JSON.parse(result.stdout).fetch.files).to.equal(7);
  });

  it('verify reads every byte and makes no request', async () => {
    await filled();
    hub.requests.clear();
    const result = await runHere(['verify', '--json'], env());
    expect(result.status).to.equal(0);
    const report = JSON.parse(result.stdout);
    expect(report.ok).to.equal(true);
    expect(report.models[0].files).to.equal(7);
    expect(report.models[0].bytesRead).to.be.greaterThan(1_100_000);
    expect(hub.requests.count).to.equal(0);
  });

  it('verify finds one wrong bit, names the file and the command that repairs it', async () => {
    await filled();
    await damage(encoderPath());
    const result = await runHere(['verify'], env());
    expect(result.status).to.equal(7);
    expect(lastLine(result).msg)
      .to.include(ENCODER)
      .and.match(/run: heimdex-downloader download --check$/);
  });

  it('download --check fetches what verify found wrong', async () => {
    await filled();
    await damage(encoderPath());
    expect((await runHere([], env())).status).to.equal(0);
    expect((await runHere(['verify'], env())).status).to.equal(7);
    const repaired = await runHere(['download', '--check'], env());
    expect(repaired.status, repaired.stderr).to.equal(0);
    expect((await runHere(['verify'], env())).status).to.equal(0);
  });

  it('download --check fetches a blob that was cut off before the lock file recorded its size, which nothing else on the volume says', async () => {
    await filled();
    await truncate(encoderPath(), 699_999);
    await rm(join(dir.path, 'cache', 'models.lock.json'));
    expect((await runHere([], env())).status).to.equal(0);
    const repaired = await runHere(['download', '--check'], env());
    expect(repaired.status, repaired.stderr).to.equal(0);
    expect((await runHere(['verify'], env())).status).to.equal(0);
  });

  it('download fetches a damaged small file of a locked model again if it has to fetch another one: it reads them to lock them', async () => {
    await filled();
    const tokenizer = join(dirname(dirname(encoderPath())), 'tokenizer.json');
    await damage(tokenizer);
    await rm(await realpath(encoderPath()));
    const result = await runHere([], env());
    expect(result.status, result.stderr).to.equal(0);
    expect((await runHere(['verify'], env())).status).to.equal(0);
  });

  it('verify of an empty volume lists what is missing', async () => {
    const result = await runHere(['verify'], env());
    expect(result.status).to.equal(3);
    expect(lastLine(result)).to.include({ code: 'MODEL_INCOMPLETE' });
  });

  it('verify of a volume with a missing file names it', async () => {
    await filled();
    await rm(encoderPath());
    const result = await runHere(['verify'], env());
    expect(result.status).to.equal(3);
    expect(lastLine(result).msg).to.include(ENCODER);
  });

  it('verify of an unreadable volume reports that, and not wrong bytes: exit 6', async () => {
    await filled();
    await rm(encoderPath());
    await symlink(encoderPath(), encoderPath());
    const result = await runHere(['verify'], env());
    expect(result.status, result.stderr).to.equal(6);
    expect(lastLine(result)).to.include({ code: 'DISK_FAILED' });
    expect(lastLine(result).msg).to.include(ENCODER).and.include('ELOOP');
  });
});
