import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HealthCheckResponse_ServingStatus as Serving } from '@heimdex/gen';
import { expect } from 'chai';
import sharp from 'sharp';
import { type FakeInference, startFakeInference } from '../support/fake-inference.js';
import { type CommandInput, heimdex } from '../support/run.js';

describe('heimdex', () => {
  let server: FakeInference;
  let folder: string;

  beforeEach(async () => {
    server = await startFakeInference();
    folder = await mkdtemp(join(tmpdir(), 'heimdex-cli-'));
  });
  afterEach(async () => {
    server.close();
    await rm(folder, { recursive: true });
  });

  const run = (args: readonly string[], input: CommandInput = {}) =>
    heimdex(args, { address: server.address, ...input });
  const file = async (name: string, content: string | Uint8Array) => {
    await writeFile(join(folder, name), content);
    return join(folder, name);
  };

  describe('transcribe', () => {
    it('writes one line of text a recording', async () => {
      const result = await run(['transcribe', await file('a.wav', 'Hello there.\nHow are you?')]);
      expect(result).to.deep.equal({ exitCode: 0, stdout: 'Hello there. How are you?\n', stderr: '' });
    });

    it('begins each line with the name when there are several', async () => {
      const [a, b] = [await file('a.wav', 'One.'), await file('b.wav', 'Two.')];
      expect((await run(['transcribe', a, b])).stdout).to.equal(`${a}: One.\n${b}: Two.\n`);
    });

    it('writes SRT and WebVTT', async () => {
      const path = await file('a.wav', 'Tom & <Jerry>\nEnd');
      expect((await run(['transcribe', path, '--format', 'srt'])).stdout).to.equal(
        '1\n00:00:00,000 --> 00:00:01,000\nTom & <Jerry>\n\n2\n00:00:01,000 --> 00:00:02,000\nEnd\n\n',
      );
      expect((await run(['transcribe', path, '--format', 'vtt'])).stdout).to.equal(
        'WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nTom &amp; &lt;Jerry&gt;\n\n00:00:01.000 --> 00:00:02.000\nEnd\n\n',
      );
    });

    it('writes a JSON document a recording', async () => {
      const { stdout } = await run(['transcribe', await file('a.wav', 'Hi.'), '--json']);
      const document = JSON.parse(stdout);
      expect(document).to.include({ text: 'Hi.', language: 'en', durationSeconds: 1 });
      expect(document.segments[0]).to.include({ text: ' Hi.', endSeconds: 1 });
    });

    it('reads standard input', async () => {
      expect((await run(['transcribe', '-'], { stdin: 'From a pipe.' })).stdout).to.equal('From a pipe.\n');
    });

    it('sends its options, and nothing for what was not given', async () => {
      const path = await file('a.wav', 'x');
      await run(['transcribe', path]);
      await run([
        'transcribe',
        path,
        '--language',
        'de',
        '--translate',
        '--beam-size',
        '5',
        '--no-condition',
        '--raw',
        's16le',
      ]);
      const [plain, full] = server.starts.map((start) => (start.case === 'start' ? start.value : undefined));
      expect(plain?.options).to.not.have.any.keys('language', 'beamSize', 'conditionOnPreviousText');
      expect(full?.options).to.include({ language: 'de', task: 2, beamSize: 5, conditionOnPreviousText: false });
      expect(full?.raw).to.include({ encoding: 1, sampleRateHz: 16_000, channelCount: 1 });
    });

    it('writes a file a recording into a folder, and none for one that failed', async () => {
      const out = join(folder, 'out');
      const [good, bad] = [await file('good.wav', 'Yes.'), await file('broken.wav', 'No.\nbad')];
      const result = await run(['transcribe', good, bad, '--format', 'srt', '--output-dir', out]);
      expect(result.exitCode).to.equal(1);
      expect(result.stderr).to.contain(`failed  ${bad}: not audio`);
      expect(await readdir(out)).to.deep.equal(['good.srt']);
      expect(await readFile(join(out, 'good.srt'), 'utf8')).to.contain('Yes.');
    });

    it('goes on after a recording that fails or is not there', async () => {
      const [bad, good] = [await file('bad.wav', 'bad'), await file('good.wav', 'Yes.')];
      const result = await run(['transcribe', bad, join(folder, 'none.wav'), good]);
      expect(result.exitCode).to.equal(1);
      expect(result.stdout).to.equal(`${good}: Yes.\n`);
      expect(result.stderr).to.match(/failed {2}.*bad\.wav: not audio\nfailed {2}.*none\.wav cannot be read: ENOENT/);
    });

    it('refuses subtitles of several recordings in one stream', async () => {
      const result = await run(['transcribe', 'a', 'b', '--format', 'srt']);
      expect(result.exitCode).to.equal(2);
      expect(result.stderr).to.contain('--output-dir FOLDER');
    });
  });

  describe('embed-image and embed-text', () => {
    it('show the beginning of each vector and the model', async () => {
      const { stdout } = await run(['embed-image', await file('a.png', '0.6,0.8')]);
      expect(stdout).to.equal(`${join(folder, 'a.png')}  [0.6000, 0.8000]  2 numbers, org/name@aaaaaaa q8\n`);
      expect((await run(['embed-text', '1,0'])).stdout).to.equal(
        '"1,0"  [1.0000, 0.0000]  2 numbers, 4 tokens, org/name@aaaaaaa q8\n',
      );
    });

    it('write whole vectors as JSON, and the errors of single files between them', async () => {
      await file('a.png', '1,0');
      await file('b.png', 'not a vector');
      await file('c.png', '0,1');
      await file('notes.txt', '1,1');
      const result = await run(['embed-image', folder, '--json']);
      const documents = result.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(result.exitCode).to.equal(1);
      expect(documents.map(({ vector }) => vector)).to.deep.equal([[1, 0], undefined, [0, 1]]);
      expect(documents[1].error).to.include({ code: 'INVALID_ARGUMENT', reason: 'IMAGE_UNREADABLE' });
      expect(documents[2]).to.deep.include({ model: server.model, dimensions: 2 });
    });

    it('refuse a folder without pictures', async () => {
      const result = await run(['embed-image', folder]);
      expect(result).to.include({ exitCode: 2 });
      expect(result.stderr).to.contain('found none in');
    });

    it('read texts from standard input, a line each', async () => {
      const { stdout } = await run(['embed-text', '--json'], { stdin: '1,0\n0,1\n' });
      expect(
        stdout
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line).text),
      ).to.deep.equal(['1,0', '0,1']);
    });

    it('send no more a call than the server takes', async () => {
      for (let name = 0; name < 8; name += 1) await file(`${name}.png`, '1,0');
      const { stdout } = await run(['embed-image', folder]);
      expect(stdout.trim().split('\n')).to.have.length(8);
      expect(server.imageBatches.sort()).to.deep.equal([2, 3, 3]);
    });
  });

  describe('search', () => {
    beforeEach(async () => {
      await file('right.png', '1,0');
      await file('up.png', '0,1');
      await file('between.png', '0.8,0.6');
    });

    it('ranks pictures by a text, with a bar each', async () => {
      const { stdout } = await run(['search', '1,0', folder]);
      expect(stdout.split('\n').map((line) => line.replace(folder, ''))).to.deep.equal([
        '1.  1.000  ████████████████████  /right.png',
        '2.  0.800  ████████████████      /between.png',
        '3.  0.000                        /up.png',
        '',
      ]);
    });

    it('ranks an index by words and by a picture, without sending its pictures again', async () => {
      const index = join(folder, 'p.index');
      await run(['index', folder, '--index', index]);
      server.imageBatches.length = 0;
      const byWords = await run(['search', '0,1', '--index', index, '--json', '--top', '1']);
      expect(JSON.parse(byWords.stdout)).to.deep.equal({ rank: 1, score: 1, file: join(folder, 'up.png') });
      const byPicture = await run([
        'search',
        '--like',
        join(folder, 'right.png'),
        '--index',
        index,
        '--json',
        '--top',
        '1',
      ]);
      expect(JSON.parse(byPicture.stdout)).to.deep.equal({ rank: 1, score: 1, file: join(folder, 'right.png') });
      expect(server.imageBatches).to.deep.equal([1]);
    });

    it('refuses an index of another model', async () => {
      const index = join(folder, 'p.index');
      await run(['index', folder, '--index', index]);
      server.model = { ...server.model, revision: 'b'.repeat(40) };
      const result = await run(['search', '1,0', '--index', index]);
      expect(result.exitCode).to.equal(1);
      expect(result.stderr).to.contain('org/name@aaaaaaa q8').and.to.contain('index them again');
    });

    it('says what is missing when there is nothing to search in', async () => {
      const result = await run(['search', 'words', '--index', join(folder, 'none.index')]);
      expect(result).to.include({ exitCode: 2 });
      expect(result.stderr).to.contain('none.index cannot be read');
    });
  });

  describe('index', () => {
    const figures = async (index: string, ...more: string[]) => {
      const { stdout } = await run(['index', folder, '--index', index, '--json', ...more]);
      const { pictures, embedded, unchanged, gone } = JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
      return { pictures, embedded, unchanged, gone };
    };

    it('sends only what is new or has changed, and forgets what is gone', async () => {
      const index = join(folder, 'p.index');
      await mkdir(join(folder, 'below'));
      const [a, b] = [await file('a.png', '1,0'), await file('b.png', '0,1')];
      await file('below/c.png', '0.6,0.8');
      expect(await figures(index)).to.deep.equal({ pictures: 3, embedded: 3, unchanged: 0, gone: 0 });
      expect(await figures(index)).to.deep.equal({ pictures: 3, embedded: 0, unchanged: 3, gone: 0 });
      await utimes(a, 1, 1);
      await rm(b);
      await file('d.png', '1,0');
      expect(await figures(index)).to.deep.equal({ pictures: 3, embedded: 2, unchanged: 1, gone: 1 });
      const found = await run(['search', '0.6,0.8', '--index', index, '--top', '1', '--json']);
      expect(JSON.parse(found.stdout).file).to.equal(join(folder, 'below/c.png'));
    });

    it('begins anew when the server has another model', async () => {
      const index = join(folder, 'p.index');
      await file('a.png', '1,0');
      await figures(index);
      server.model = { ...server.model, id: 'org/other' };
      expect(await figures(index)).to.deep.equal({ pictures: 1, embedded: 1, unchanged: 0, gone: 0 });
    });

    it('leaves out a picture that fails, and writes the others', async () => {
      await file('a.png', '1,0');
      await file('b.png', 'bad');
      const result = await run(['index', folder, '--index', join(folder, 'p.index')]);
      expect(result.exitCode).to.equal(1);
      expect(result.stdout).to.contain('1 picture (1 embedded, 0 unchanged, 0 gone)');
      expect(result.stderr).to.contain('b.png: not a picture');
    });

    it('does not overwrite a file that is no index', async () => {
      await file('a.png', '1,0');
      const precious = await file('precious.txt', 'my notes');
      const result = await run(['index', folder, '--index', precious]);
      expect(result.exitCode).to.equal(2);
      expect(await readFile(precious, 'utf8')).to.equal('my notes');
    });
  });

  describe('detect-faces', () => {
    it('lists the faces and draws them on the upright picture', async () => {
      const lying = await sharp({ create: { width: 200, height: 100, channels: 3, background: '#808080' } })
        .withExif({ IFD0: { Orientation: '6' } })
        .withMetadata({ orientation: 6 })
        .jpeg()
        .toBuffer();
      const path = await file('a.jpg', lying);
      const drawn = join(folder, 'drawn.png');
      const { stdout, exitCode } = await run(['detect-faces', path, '--draw', drawn]);
      expect(exitCode).to.equal(0);
      expect(stdout).to.equal(`${path}: 1 face in 100 x 200 -> ${drawn}\n  1.  0.875  40 x 60 at 30, 20\n`);
      const { data, info } = await sharp(drawn).removeAlpha().raw().toBuffer({ resolveWithObject: true });
      expect(info).to.include({ width: 100, height: 200 });
      const pixel = (x: number, y: number) => [
        ...data.subarray((y * info.width + x) * 3, (y * info.width + x) * 3 + 3),
      ];
      expect(pixel(30, 60)).to.deep.equal([0x00, 0xe0, 0x5a]); // the box's left edge
      const [red = 0, green = 0, blue = 0] = pixel(40, 40); // the person's right eye
      expect(red - Math.max(green, blue)).to.be.above(150);
      expect(pixel(10, 180)).to.deep.equal([0x80, 0x80, 0x80]);
    });

    it('draws many pictures into a folder', async () => {
      const png = await sharp({ create: { width: 100, height: 200, channels: 3, background: '#000' } })
        .png()
        .toBuffer();
      await file('a.png', png);
      await file('b.png', png);
      await file('c.png', 'bad');
      const out = join(folder, 'out');
      const result = await run(['detect-faces', folder, '--draw-dir', out]);
      expect(result.exitCode).to.equal(1);
      expect((await readdir(out)).sort()).to.deep.equal(['a.png', 'b.png']);
    });

    it('refuses one drawing for several pictures', async () => {
      await file('a.png', '');
      await file('b.png', '');
      expect(await run(['detect-faces', folder, '--draw', 'x.png'])).to.include({ exitCode: 2 });
    });
  });

  describe('info and health', () => {
    it('show what is loaded', async () => {
      const { stdout } = await run(['info']);
      expect(stdout).to.contain('Heimdex inference 9.9.9, up 1 min 2 s');
      expect(stdout).to.match(/vision {2}org\/name@aaaaaaa q8 {2}siglip {8}2 {2}cpu/);
      expect(stdout).to.contain('64 MiB a message, 3 items a call, 2 h of audio');
      expect(JSON.parse((await run(['info', '--json'])).stdout)).to.include({ version: '9.9.9' });
    });

    it('say by the exit code whether the server serves', async () => {
      expect(await run(['health'])).to.include({ exitCode: 0 });
      server.health = Serving.NOT_SERVING;
      const result = await run(['health']);
      expect(result).to.include({ exitCode: 5 });
      expect(result.stdout).to.match(/^the server +NOT_SERVING$/m);
      expect((await run(['health', '--service', 'nobody'])).exitCode).to.equal(1);
    });

    it('wait until the server serves', async () => {
      server.health = Serving.NOT_SERVING;
      expect((await run(['health', '--wait', '0.2'])).exitCode).to.equal(5);
      const waiting = run(['health', '--wait', '60', '--json']);
      server.health = Serving.SERVING;
      const { exitCode, stdout } = await waiting;
      expect(exitCode).to.equal(0);
      expect(JSON.parse(stdout)).to.include({ status: 'SERVING' });
    });

    it('show each change', async () => {
      const { stdout } = await run(['health', '--watch', '--json']);
      expect(
        stdout
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line).status),
      ).to.deep.equal(['NOT_SERVING', 'SERVING']);
    });
  });

  describe('on a terminal', () => {
    it('shows progress on standard error, colours its results, and obeys NO_COLOR', async () => {
      await file('a.png', '1,0');
      await file('b.png', '0,1');
      const index = join(folder, 'p.index');
      const { stderr, stdout } = await run(['index', folder, '--index', index], { terminal: true });
      expect(stderr).to.contain('1 of 2 pictures');
      expect(stderr.endsWith('\r\u001b[K')).to.equal(true);
      expect(stdout).to.match(/2 pictures/);
      const colored = await run(['search', '1,0', '--index', index], { terminal: true });
      expect(colored.stdout).to.contain('\u001b[36m');
      const plain = await run(['search', '1,0', '--index', index], { terminal: true, env: { NO_COLOR: '1' } });
      expect(plain.stdout).to.not.contain('\u001b[');
    });
  });
});
