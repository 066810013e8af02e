import promises, { mkdir, open, readFile, readlink, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { expect } from 'chai';
import { findImages } from '../../src/cli/images.js';
import { writeImageIndex } from '../../src/search/image-index.js';
import { useCli } from '../support/cli-fixture.js';
import { namedPipe } from '../support/named-pipe.js';

describe('heimdex', () => {
  const cli = useCli();
  const { run, file } = cli;

  describe('embed-image and embed-text', () => {
    it('show the first values of each vector and the model', async () => {
      const { stdout } = await run(['embed-image', await file('a.png', '0.6,0.8')]);
      expect(stdout).to.equal(`${join(cli.dir, 'a.png')}  [0.6000, 0.8000]  2 dimensions, org/name@aaaaaaa q8\n`);
      expect((await run(['embed-text', '1,0'])).stdout).to.equal(
        '"1,0"  [1.0000, 0.0000]  2 dimensions, 4 tokens, org/name@aaaaaaa q8\n',
      );
    });

    it('write complete vectors as JSON, interleaved with the errors of failed files', async () => {
      await file('a.png', '1,0');
      await file('b.png', 'not a vector');
      await file('c.png', '0,1');
      await file('notes.txt', '1,1');
      const result = await run(['embed-image', cli.dir, '--json']);
      const documents = result.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(result.exitCode).to.equal(1);
      expect(documents.map(({ vector }) => vector)).to.deep.equal([[1, 0], undefined, [0, 1]]);
      expect(documents[1].error).to.include({ code: 'INVALID_ARGUMENT', reason: 'IMAGE_UNREADABLE' });
      expect(documents[2]).to.deep.include({ model: cli.server.model, dimensions: 2 });
    });

    it('reject a directory without images', async () => {
      const result = await run(['embed-image', cli.dir]);
      expect(result).to.include({ exitCode: 2 });
      expect(result.stderr).to.contain('found none in');
    });

    it('read texts from standard input, one per line', async () => {
      // Some editors write a byte order mark first, and others lines of Windows.
      const { stdout } = await run(['embed-text', '--json'], { stdin: '\uFEFF1,0\r\n0,1 \u2028 \n\n1,1' });
      expect(
        stdout
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line))
          .map(({ text }) => text),
      ).to.deep.equal(['1,0', '0,1 \u2028 ', '', '1,1']);
    });

    it('show the start of a text of any length, which JSON has whole', async () => {
      const long = 'not a vector '.repeat(1000);
      const { stdout, stderr } = await run(['embed-text', long, '--json']);
      expect(JSON.parse(stdout)).to.include({ text: long });
      expect(stderr).to.match(/^failed {2}"(not a vector ){7}not a ve…": .{1,200}\n$/);
    });

    it('name a file whose name is not UTF-8', async function () {
      const dir = join(cli.dir, 'latin1');
      await mkdir(dir);
      const name = Buffer.concat([Buffer.from(join(dir, 'caf')), Buffer.from([0xe9]), Buffer.from('.png')]);
      // Some systems refuse such names.
      if (await writeFile(name, '1,0').catch(() => true)) this.skip();
      const { stderr } = await run(['embed-image', dir]);
      expect(stderr).to.equal(
        `failed  ${join(dir, 'caf\uFFFD.png')} cannot be read: its name is not UTF-8; rename it\n`,
      );
    });

    it('end at Ctrl-C while standard input has no more lines', async () => {
      const interrupt = new AbortController();
      async function* stdin() {
        yield Buffer.from('1,0\n');
        interrupt.abort();
        await new Promise<never>(() => undefined);
      }
      const { exitCode, stderr } = await run(['embed-text'], { stdin: stdin(), signal: interrupt.signal });
      expect(exitCode).to.equal(130);
      expect(stderr).to.equal('heimdex: interrupted\n');
    });

    it('find the images of a directory of any size', async () => {
      const { opendir } = promises;
      async function* entries() {
        for (let name = 130_000; name > 0; name -= 1) yield { name: `${name}.png`, isDirectory: () => false };
      }
      // Creating 130,000 files would take seconds.
      Object.assign(promises, { opendir: async () => entries() });
      syncBuiltinESMExports();
      try {
        const found = await findImages([cli.dir]);
        expect(found.length).to.equal(130_000);
        expect(found.slice(0, 2)).to.deep.equal([join(cli.dir, '1.png'), join(cli.dir, '10.png')]);
      } finally {
        Object.assign(promises, { opendir });
        syncBuiltinESMExports();
      }
    });

    it("respect the server's batch limit", async () => {
      for (let name = 0; name < 8; name += 1) await file(`${name}.png`, '1,0');
      const { stdout } = await run(['embed-image', cli.dir]);
      expect(stdout.trim().split('\n')).to.have.length(8);
      expect(cli.server.imageBatches.sort()).to.deep.equal([2, 3, 3]);
    });
  });

  describe('search', () => {
    beforeEach(async () => {
      await file('right.png', '1,0');
      await file('up.png', '0,1');
      await file('between.png', '0.8,0.6');
    });

    it('ranks images by a text, with a bar per result', async () => {
      const { stdout } = await run(['search', '1,0', cli.dir]);
      expect(stdout.split('\n').map((line) => line.replace(cli.dir, ''))).to.deep.equal([
        '1.  1.000  ████████████████████  /right.png',
        '2.  0.800  ████████████████      /between.png',
        '3.  0.000                        /up.png',
        '',
      ]);
    });

    it('ranks an index by a text and by an image, without sending its images again', async () => {
      const index = join(cli.dir, 'p.index');
      await run(['index', cli.dir, '--index', index]);
      cli.server.imageBatches.length = 0;
      const byWords = await run(['search', '0,1', '--index', index, '--json', '--top', '1']);
      expect(JSON.parse(byWords.stdout)).to.deep.equal({ rank: 1, score: 1, file: join(cli.dir, 'up.png') });
      const byImage = await run([
        'search',
        '--like',
        join(cli.dir, 'right.png'),
        '--index',
        index,
        '--json',
        '--top',
        '1',
      ]);
      expect(JSON.parse(byImage.stdout)).to.deep.equal({ rank: 1, score: 1, file: join(cli.dir, 'right.png') });
      expect(cli.server.imageBatches).to.deep.equal([1]);
    });

    it('rejects an index of another model', async () => {
      const index = join(cli.dir, 'p.index');
      await run(['index', cli.dir, '--index', index]);
      cli.server.model = { ...cli.server.model, revision: 'b'.repeat(40) };
      const result = await run(['search', '1,0', '--index', index]);
      expect(result.exitCode).to.equal(1);
      expect(result.stderr).to.contain('org/name@aaaaaaa q8').and.to.contain('index them again');
    });

    it('rejects an index whose vectors have other dimensions than the query', async () => {
      const index = join(cli.dir, 'p.index');
      const images = [{ path: 'a.png', sizeBytes: 1, modifiedMs: 1 }];
      // Twice as many, so that the numbers could be taken for two vectors of the query's.
      await writeImageIndex(index, { model: cli.server.model, dimensions: 4, images, vectors: new Float32Array(4) });
      const result = await run(['search', '1,0', '--index', index]);
      expect(result).to.include({ exitCode: 1, stdout: '' });
      expect(result.stderr).to.contain('has 4 dimensions').and.to.contain('index them again');
    });

    it('explains how to create a missing index', async () => {
      const result = await run(['search', 'words', '--index', join(cli.dir, 'none.index')]);
      expect(result).to.include({ exitCode: 2 });
      expect(result.stderr).to.contain('none.index cannot be read');
      expect(result.stderr).to.match(/heimdex index DIR --index .*none\.index/);
    });
  });

  describe('index', () => {
    const figures = async (index: string, ...more: string[]) => {
      const { stdout } = await run(['index', cli.dir, '--index', index, '--json', ...more]);
      const { images, embedded, unchanged, gone } = JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
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
        [join(cli.dir, 'nowhere', 'p.index'), 'there is no directory'],
        [join(cli.dir, 'a.png', 'p.index'), join(cli.dir, 'a.png is not a directory')],
      ] as const) {
        const result = await run(['index', cli.dir, '--index', index]);
        expect(result.exitCode).to.equal(2);
        expect(result.stderr).to.contain(`cannot be written: ${reason}`);
      }
      expect(cli.server.imageBatches).to.deep.equal([]);
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
});
