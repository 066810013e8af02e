import { mkdir, open, readFile, readlink, rm, symlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { writeImageIndex } from '../../src/search/image-index.js';
import { useCli } from '../support/cli-fixture.js';
import { namedPipe } from '../support/named-pipe.js';
import { documentsIn } from '../support/run.js';

describe('heimdex index', () => {
  const cli = useCli();
  const { run, file } = cli;

  const figures = async (index: string, ...more: string[]) => {
    const { stdout } = await run(['index', cli.dir, '--index', index, '--json', ...more]);
    const { images, embedded, unchanged, gone } = documentsIn(stdout).at(-1);
    return { images, embedded, unchanged, gone };
  };

  it('sends only new and changed images, and drops removed ones', async () => {
    const index = join(cli.dir, 'p.index');
    await mkdir(join(cli.dir, 'below'));
    const [a, b] = [await file('a.png', '1,0'), await file('b.png', '0,1')];
    await file('below/c.png', '0.6,0.8');
    expect(await figures(index)).to.deep.equal({ images: 3, embedded: 3, unchanged: 0, gone: 0 });
    expect(await figures(index)).to.deep.equal({ images: 3, embedded: 0, unchanged: 3, gone: 0 });
    await utimes(a, 1, 1);
    await rm(b);
    await file('d.png', '1,0');
    expect(await figures(index)).to.deep.equal({ images: 3, embedded: 2, unchanged: 1, gone: 1 });
    const found = await run(['search', '0.6,0.8', '--index', index, '--top', '1', '--json']);
    expect(JSON.parse(found.stdout).file).to.equal(join(cli.dir, 'below/c.png'));
  });

  it('finds the files of every format that the server accepts, and no others', async () => {
    const extensions = 'jpg JPEG jfif png webp gif avif heic heif hif tif tiff bmp jxl'.split(' ');
    for (const extension of [...extensions, 'txt', 'mp4']) await file(`a.${extension}`, '1,0');
    expect(await figures(join(cli.dir, 'p.index'))).to.include({ embedded: extensions.length });
  });

  it('embeds all images again for another model', async () => {
    const index = join(cli.dir, 'p.index');
    await file('a.png', '1,0');
    await figures(index);
    cli.server.model = { ...cli.server.model, id: 'org/other' };
    expect(await figures(index)).to.deep.equal({ images: 1, embedded: 1, unchanged: 0, gone: 0 });
  });

  it('shows its progress on a terminal, but not on one that knows no sequences', async () => {
    await file('a.png', '1,0');
    const command = ['index', cli.dir, '--index', join(cli.dir, 'p.index')];
    expect((await run(command, { terminal: true, columns: 0 })).stderr).to.contain('1 of 1 image');
    await file('b.png', '1,0');
    expect((await run(command, { terminal: true, env: { TERM: 'dumb' } })).stderr).to.equal('');
  });

  it('skips failed images and writes the others', async () => {
    await file('a.png', '1,0');
    await file('b.png', 'bad');
    await symlink('nowhere.png', join(cli.dir, 'c.png'));
    const result = await run(['index', cli.dir, '--index', join(cli.dir, 'p.index')]);
    expect(result.exitCode).to.equal(1);
    expect(result.stdout).to.contain('1 image (1 embedded, 0 unchanged, 0 removed)');
    expect(result.stderr)
      .to.contain('b.png: not an image')
      .and.to.match(/c\.png cannot be read: ENOENT/);
  });

  it('changes nothing where a named file is gone, which may be a volume that is not mounted', async () => {
    const [index, there] = [join(cli.dir, 'p.index'), await file('a.png', '1,0')];
    await run(['index', there, '--index', index]);
    const before = await readFile(index);
    const result = await run(['index', there, join(cli.dir, 'gone.png'), '--index', index]);
    expect(result).to.include({ exitCode: 2, stdout: '' });
    expect(await readFile(index)).to.deep.equal(before);
  });

  it('skips an image that is larger than a message may be and writes the others', async () => {
    cli.server.maxMessageBytes = 1_048_576n;
    await file('a.png', '1,0');
    await file('b.png', new Uint8Array(1_100_000));
    await file('c.png', '0,1');
    const result = await run(['index', cli.dir, '--index', join(cli.dir, 'p.index')]);
    expect(result.exitCode).to.equal(1);
    expect(result.stdout).to.contain('2 images (2 embedded, 0 unchanged, 0 removed)');
    expect(result.stderr).to.match(/b\.png: The EmbedImage request has .* the server accepts 1048576 per message/);
  });

  it('waits for a model that is still loading, which the server does not list yet', async () => {
    await file('a.png', '1,0');
    cli.server.loadingCalls = 2;
    expect(await figures(join(cli.dir, 'p.index'))).to.include({ embedded: 1 });
    cli.server.loadingCalls = Number.POSITIVE_INFINITY;
    const refused = await run(['index', cli.dir, '--index', join(cli.dir, 'p.index')]);
    expect(refused).to.include({ exitCode: 3 });
    expect(refused.stderr).to.contain('still loading').and.to.contain('heimdex health');
  });

  it('lets its calls, which yield to others, wait as long as the transcription of a file may take, unless told otherwise', async () => {
    const [beginMs, minuteMs] = [Date.now(), 60_000];
    await file('a.png', '1,0');
    await figures(join(cli.dir, 'p.index'));
    expect(cli.server.imageDeadlineMs).to.be.greaterThan(beginMs + 9 * minuteMs);
    await figures(join(cli.dir, 'other.index'), '--timeout', '60');
    expect(cli.server.imageDeadlineMs).to.be.lessThan(Date.now() + 2 * minuteMs);
  });

  it('saves partial progress on a failure and resumes from it', async () => {
    const index = join(cli.dir, 'p.index');
    for (const name of ['a', 'b', 'c', 'd', 'e']) await file(`${name}.png`, '1,0');
    const last = await file('f.png', 'forbidden');
    const stopped = await run(['index', cli.dir, '--index', index]);
    expect(stopped.exitCode).to.equal(1);
    expect(stopped.stderr).to.match(/3 images of 6 embedded; run the same command to resume/);
    await rm(last);
    expect(await figures(index)).to.deep.equal({ images: 5, embedded: 2, unchanged: 3, gone: 0 });
  });

  it('keeps any number of images indexed before when it saves partial progress', async () => {
    const index = join(cli.dir, 'p.index');
    const images = Array.from({ length: 130_000 }, (_, at) => ({ path: `old/${at}`, sizeBytes: 1, modifiedMs: 1 }));
    const vectors = new Float32Array(2 * images.length);
    await writeImageIndex(index, { model: cli.server.model, dimensions: 2, images, vectors });
    for (const name of ['a', 'b', 'c']) await file(`${name}.png`, '1,0');
    await file('d.png', 'forbidden');
    const stopped = await run(['index', cli.dir, '--index', index]);
    expect(stopped.stderr).to.match(/3 images of 4 embedded; run the same command to resume/);
    expect((await readFile(index)).includes('"old/129999"')).to.equal(true);
  });

  it('keeps what another run has indexed meanwhile when it saves partial progress', async function () {
    const index = join(cli.dir, 'p.index');
    const pipe = namedPipe(this, join(cli.dir, 'pipe'));
    const images = await Promise.all(['a', 'b', 'c', 'd'].map((name) => file(`${name}.png`, '1,0')));
    const stopped = run(['index', ...images.slice(0, 3), pipe, '--index', index]);
    const writer = await open(pipe, 'w'); // Opens when the command reads it.
    expect(await run(['index', ...images.slice(2), '--index', index])).to.include({ exitCode: 0 });
    await writer.writeFile('forbidden');
    await writer.close();
    expect((await stopped).stderr).to.contain('3 images of 4 embedded');
    expect(await figures(index)).to.deep.equal({ images: 4, embedded: 0, unchanged: 4, gone: 0 });
  });

  it('reports an unwritable index path before any work', async () => {
    await file('a.png', '1,0');
    for (const [index, reason] of [
      [join(cli.dir, 'nowhere', 'p.index'), 'cannot be written: there is no directory'],
      [join(cli.dir, 'a.png', 'p.index'), `cannot be written: ${join(cli.dir, 'a.png is not a directory')}`],
      ['', 'Expected the name of a file to write, got an empty one'],
    ] as const) {
      const result = await run(['index', cli.dir, '--index', index]);
      expect(result.exitCode).to.equal(2);
      expect(result.stderr).to.contain(reason);
    }
    expect(cli.server.imageBatches).to.deep.equal([]);
  });

  it('names the index that can no longer be written when its images are embedded', async function () {
    const [dir, pipe] = [join(cli.dir, 'out'), namedPipe(this, join(cli.dir, 'pipe'))];
    await mkdir(dir);
    const running = run(['index', pipe, '--index', join(dir, 'p.index')]);
    const writer = await open(pipe, 'w'); // Opens when the command reads it.
    await rm(dir, { recursive: true });
    await writer.writeFile('1,0');
    await writer.close();
    const { stderr, exitCode } = await running;
    expect(stderr).to.contain(`heimdex: ${join(dir, 'p.index')} cannot be written: ENOENT`);
    expect(stderr).to.not.contain('bug');
    expect(exitCode).to.equal(74);
  });

  it('does not replace an index that cannot be read', async () => {
    await file('a.png', '1,0');
    const loop = join(cli.dir, 'loop.index');
    await symlink('loop.index', loop);
    const result = await run(['index', cli.dir, '--index', loop]);
    expect(result.exitCode).to.equal(2);
    expect(result.stderr).to.match(/loop\.index cannot be read: ELOOP.* It was not changed/);
    expect(await readlink(loop)).to.equal('loop.index');
    expect(cli.server.imageBatches).to.deep.equal([]);
    const searched = await run(['search', '1,0', '--index', loop]);
    expect(searched.exitCode).to.equal(2);
    expect(searched.stderr).to.contain('ELOOP').and.to.not.contain('To create one');
  });

  it('does not overwrite a file of another format', async () => {
    await file('a.png', '1,0');
    const precious = await file('precious.txt', 'my notes');
    const result = await run(['index', cli.dir, '--index', precious]);
    expect(result.exitCode).to.equal(2);
    expect(await readFile(precious, 'utf8')).to.equal('my notes');
  });
});
