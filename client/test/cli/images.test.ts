import promises, { mkdir, symlink, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { expect } from 'chai';
import { findImages } from '../../src/cli/images.js';
import { writeImageIndex } from '../../src/search/image-index.js';
import { useCli } from '../support/cli-fixture.js';
import { namedPipe } from '../support/named-pipe.js';
import { documentsIn } from '../support/run.js';

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
      const documents = documentsIn(result.stdout);
      expect(result.exitCode).to.equal(1);
      expect(documents.map(({ vector }) => vector)).to.deep.equal([[1, 0], undefined, [0, 1]]);
      expect(documents[1].error).to.include({ code: 'INVALID_ARGUMENT', reason: 'IMAGE_UNREADABLE' });
      expect(documents[2]).to.deep.include({ model: cli.server.model, dimensions: 2 });
    });

    it('send long lines in calls that fit a message, and fail a line that fits none', async () => {
      cli.server.maxMessageBytes = 2_097_152n;
      const lines = [1.5e6, 1.5e6, 2.5e6, 3].map((length) => '1,0'.padEnd(length));
      const result = await run(['embed-text', '--json'], { stdin: lines.join('\n') });
      const documents = documentsIn(result.stdout);
      expect(documents.map(({ vector, error }) => error?.reason ?? vector)).to.deep.equal([
        [1, 0],
        [1, 0],
        'MESSAGE_TOO_LARGE',
        [1, 0],
      ]);
      expect(result.exitCode).to.equal(1);
    });

    it('reject a directory without images', async () => {
      const result = await run(['embed-image', cli.dir]);
      expect(result).to.include({ exitCode: 2 });
      expect(result.stderr).to.contain('found none in');
    });

    it('read texts from standard input, one per line', async () => {
      // Some editors write a byte order mark first, and others lines of Windows.
      const { stdout } = await run(['embed-text', '--json'], { stdin: '\uFEFF1,0\r\n0,1 \u2028 \n\n1,1' });
      expect(documentsIn(stdout).map(({ text }) => text)).to.deep.equal(['1,0', '0,1 \u2028 ', '', '1,1']);
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

    it('say that a name is empty, as of a variable of a shell that is not set', async () => {
      const message = 'Expected the name of a file to read, got an empty one';
      for (const args of [
        ['embed-image', ''],
        ['search', 'owl', ''],
        ['info', '--token-file', ''],
      ]) {
        expect(await run(args)).to.deep.equal({ exitCode: 2, stdout: '', stderr: `heimdex: ${message}\n` });
      }
      expect((await run(['transcribe', ''])).stderr).to.equal(`failed  ${message}\n`);
    });

    it('fail a file that is gone alone, where others were named with it', async () => {
      const [gone, kept] = [join(cli.dir, 'gone/gone.png'), await file('kept.png', '1,0')];
      const result = await run(['embed-image', gone, kept]);
      expect(result.exitCode).to.equal(1);
      expect(result.stdout).to.contain(`${kept}  [1.0000, 0.0000]`);
      expect(result.stderr).to.contain(`failed  ${gone} cannot be read: ENOENT`);
      expect((await run(['detect-faces', gone, kept])).stderr).to.contain(`failed  ${gone} cannot be read: ENOENT`);
      // A name alone, or of no image, is a mistake of the command line.
      for (const paths of [[gone], [kept, join(cli.dir, 'typo')]]) {
        expect(await run(['embed-image', ...paths])).to.include({ exitCode: 2, stdout: '' });
      }
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

    it('find what links of a directory lead to, each place above them once', async () => {
      const [images, other] = [join(cli.dir, 'images'), join(cli.dir, 'other')];
      await mkdir(images);
      await mkdir(join(other, 'below'), { recursive: true });
      await file('other/below/a.png', '1,0');
      await symlink(join(other, 'below', 'a.png'), join(images, 'file.png'));
      await symlink(other, join(images, 'linked'));
      await symlink('..', join(other, 'below', 'up'));
      expect(await findImages([images])).to.deep.equal([
        join(images, 'file.png'),
        join(images, 'linked', 'below', 'a.png'),
      ]);
    });

    it('pass over a named pipe of a directory, whose writer they would wait for', async function () {
      const pipe = namedPipe(this, join(cli.dir, 'pipe.png'));
      await symlink('pipe.png', join(cli.dir, 'link.png'));
      const image = await file('a.png', '1,0');
      expect(await findImages([cli.dir])).to.deep.equal([image]);
      expect(await findImages([pipe])).to.deep.equal([pipe]);
    });

    it('find the images of a directory of any size', async () => {
      const { opendir } = promises;
      async function* entries() {
        const file = { isSymbolicLink: () => false, isDirectory: () => false, isFile: () => true };
        for (let name = 130_000; name > 0; name -= 1) yield { ...file, name: `${name}.png` };
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
      const how = ['--index', index, '--json', '--top', '1'];
      const byWords = await run(['search', '0,1', ...how]);
      expect(JSON.parse(byWords.stdout)).to.deep.equal({ rank: 1, score: 1, file: join(cli.dir, 'up.png') });
      const byImage = await run(['search', '--like', join(cli.dir, 'right.png'), ...how]);
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
});
