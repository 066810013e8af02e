import { execFile } from 'node:child_process';
import { readdir, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import sharp, { type Color } from 'sharp';
import { useCli } from '../support/cli-fixture.js';
import { namedPipe } from '../support/named-pipe.js';

/** A TIFF of 100 x 200 equal pixels. Its one value of BitsPerSample counts for all samples. */
function wideTiff(pixel: Uint32Array | Float32Array): Buffer {
  const pixels = Buffer.concat(new Array<Uint8Array>(100 * 200).fill(new Uint8Array(pixel.buffer)));
  const photometric = pixel.length === 3 ? 2 : 1;
  const format = pixel instanceof Float32Array ? 3 : 1;
  const head = Buffer.alloc(110);
  head.write('II*\0\u0008\0\0\0\u0008', 'latin1');
  const tags: readonly (readonly [number, number])[] = [
    [256, 100],
    [257, 200],
    [258, 32],
    [262, photometric],
    [273, head.length],
    [277, pixel.length],
    [279, pixels.length],
    [339, format],
  ];
  tags.forEach(([tag, value], index) => {
    const at = head.writeUInt32LE(tag + (4 << 16), 10 + index * 12);
    head.writeUInt32LE(value, head.writeUInt32LE(1, at));
  });
  return Buffer.concat([head, pixels]);
}

/** An image of one colour, as high as the faces of the fake server are in, or lying on its side. */
function plain(background: Color, lying = false) {
  const [width, height] = lying ? [200, 100] : [100, 200];
  return sharp({ create: { width, height, channels: 3, background } });
}

describe('heimdex detect-faces', () => {
  const cli = useCli();
  const { run, file } = cli;

  it('lists the faces and draws them on the upright image', async () => {
    const rotated = await plain('#808080', true)
      .withExif({ IFD0: { Orientation: '6' } })
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toBuffer();
    const path = await file('a.jpg', rotated);
    const drawn = join(cli.dir, 'drawn.png');
    const { stdout, exitCode } = await run(['detect-faces', path, '--draw', drawn]);
    expect(exitCode).to.equal(0);
    expect(stdout).to.equal(`${path}: 1 face in 100 x 200 -> ${drawn}\n  1.  0.875  40 x 60 at 30, 20\n`);
    const { data, info } = await sharp(drawn).removeAlpha().raw().toBuffer({ resolveWithObject: true });
    expect(info).to.include({ width: 100, height: 200 });
    const pixel = (x: number, y: number) => [...data.subarray((y * info.width + x) * 3, (y * info.width + x) * 3 + 3)];
    expect(pixel(30, 60)).to.deep.equal([0x00, 0xe0, 0x5a]); // the box's left edge
    const [red = 0, green = 0, blue = 0] = pixel(40, 40); // the person's right eye
    expect(red - Math.max(green, blue)).to.be.above(150);
    expect(pixel(10, 180)).to.deep.equal([0x80, 0x80, 0x80]);
  });

  it('draws on the upright image of a PNG that has its EXIF data behind its pixels', async () => {
    const inFront = await plain('#808080', true).withMetadata({ orientation: 6 }).png().toBuffer();
    const chunks = ['IHDR', 'IDAT', 'eXIf', 'IEND'].map((type) => {
      const at = inFront.indexOf(type) - 4;
      return inFront.subarray(at, at + 12 + inFront.readUInt32BE(at));
    });
    const path = await file('a.png', Buffer.concat([inFront.subarray(0, 8), ...chunks]));
    const drawn = join(cli.dir, 'drawn.png');
    expect(await run(['detect-faces', path, '--draw', drawn])).to.include({ exitCode: 0 });
    expect(await sharp(drawn).metadata()).to.include({ width: 100, height: 200 });
  });

  it('draws on an image without its end, as the server reads it', async () => {
    const grey = plain('#808080');
    for (const [name, whole, missing] of [
      ['a.jpg', await grey.clone().jpeg().toBuffer(), 2],
      ['a.png', await grey.clone().png().toBuffer(), 16],
    ] as const) {
      const path = await file(name, whole.subarray(0, whole.length - missing));
      const drawn = join(cli.dir, `drawn-${name}`);
      expect(await run(['detect-faces', path, '--draw', drawn]), name).to.include({ exitCode: 0, stderr: '' });
      expect((await sharp(drawn).stats()).channels[0]?.mean, name).to.be.closeTo(0x80, 8);
    }
  });

  it('draws what is transparent on white into a JPEG, as the server sees it', async () => {
    const clear = { r: 0, g: 0, b: 0, alpha: 0 };
    const png = await sharp({ create: { width: 100, height: 200, channels: 4, background: clear } })
      .png()
      .toBuffer();
    const drawn = join(cli.dir, 'drawn.jpg');
    expect(await run(['detect-faces', await file('a.png', png), '--draw', drawn])).to.include({ exitCode: 0 });
    expect((await sharp(drawn).raw().toBuffer()).subarray(-3)).to.deep.equal(Buffer.from([255, 255, 255]));
  });

  it('draws on a TIFF of 32 bits a sample in its own colours', async () => {
    for (const [name, pixel, expected] of [
      ['floats.tif', Float32Array.of(1, 0.4, 0.2), [255, 102, 51]],
      ['grey.tif', Float32Array.of(0.4), [102, 102, 102]],
      ['integers.tif', Uint32Array.of(0xff_00_00_00, 0x80_00_00_00, 0), [255, 128, 0]],
    ] as const) {
      const drawn = join(cli.dir, `${name}.png`);
      expect(await run(['detect-faces', await file(name, wideTiff(pixel)), '--draw', drawn])).to.include({
        exitCode: 0,
      });
      const pixels = await sharp(drawn).removeAlpha().raw().toBuffer();
      expect([...pixels.subarray(-3)], name).to.deep.equal(expected);
    }
  });

  it('draws on an image of 16 bits a sample in the colours of its profile', async () => {
    const wide = await plain({ r: 200, g: 90, b: 40 }).toColourspace('rgb16').withIccProfile('p3').png().toBuffer();
    const drawn = join(cli.dir, 'drawn.png');
    await run(['detect-faces', await file('wide.png', wide), '--draw', drawn]);
    const { icc } = await sharp(drawn).metadata();
    expect(icc).to.equal(undefined);
    const [red = 0, green = 0, blue = 0] = (await sharp(drawn).removeAlpha().raw().toBuffer()).subarray(-3);
    expect(red).to.be.closeTo(200, 1);
    expect(green).to.be.closeTo(90, 1);
    expect(blue).to.be.closeTo(40, 1);
  });

  it('draws on what a named pipe gave, which cannot be read again', async function () {
    const png = await plain('#000').png().toBuffer();
    const pipe = namedPipe(this, join(cli.dir, 'pipe'));
    const drawn = join(cli.dir, 'drawn.png');
    const [{ stdout, exitCode }] = await Promise.all([
      run(['detect-faces', pipe, '--draw', drawn]),
      promisify(execFile)('sh', ['-c', 'cat "$0" > "$1"', await file('a.png', png), pipe]),
    ]);
    expect(exitCode).to.equal(0);
    expect(stdout).to.contain(`${pipe}: 1 face in 100 x 200 -> ${drawn}\n`);
  });

  it('draws many images into a directory', async () => {
    const png = await plain('#000').png().toBuffer();
    const long = `${'가'.repeat(83)}.png`;
    await file('a.png', png);
    await file(long, png);
    await file('c.png', 'bad');
    // The server reads BMP and JPEG XL, sharp does not.
    const bmp = await file('b.bmp', 'BM');
    const out = join(cli.dir, 'out');
    const result = await run(['detect-faces', cli.dir, '--draw-dir', out]);
    expect(result.exitCode).to.equal(1);
    expect(result.stdout).to.match(/b\.bmp: 1 face in 100 x 200\n/);
    expect(result.stderr).to.contain(
      `failed  ${bmp}: its faces cannot be drawn: Input buffer contains unsupported image format`,
    );
    expect((await readdir(out)).sort()).to.deep.equal(['a.png', long]);
  });

  it('reports an unwritable drawing path before any work', async () => {
    const image = await file('a.png', 'any');
    const nowhere = await run(['detect-faces', image, '--draw', join(cli.dir, 'nowhere', 'a.png')]);
    expect(nowhere.exitCode).to.equal(2);
    expect(nowhere.stderr).to.contain('a.png cannot be written: there is no directory');
    const occupied = await run(['detect-faces', image, '--draw-dir', image]);
    expect(occupied.exitCode).to.equal(2);
    expect(occupied.stderr).to.contain('a file of that name exists');
    const other = await run(['detect-faces', image, '--draw', join(cli.dir, 'drawn.svg')]);
    expect(other.exitCode).to.equal(2);
    expect(other.stderr).to.contain('drawn.svg cannot be drawn: expected a name that ends with .png, .jpg,');
  });

  it('refuses to draw over an image', async () => {
    const image = await file('a.png', 'any');
    const link = join(cli.dir, 'link');
    await symlink(cli.dir, link);
    const other = join(cli.dir, 'b.png');
    await symlink(image, other);
    const refused = `${image} is one of the images: draw its faces into another file`;
    for (const [path, ...draw] of [
      [image, '--draw', image],
      [image, '--draw-dir', cli.dir],
      [join(link, 'a.png'), '--draw-dir', cli.dir],
      [other, '--draw', image],
    ] as const) {
      const { exitCode, stderr } = await run(['detect-faces', path, ...draw]);
      expect(exitCode).to.equal(2);
      expect(stderr).to.contain(refused);
    }
    expect(await readFile(image, 'utf8')).to.equal('any');
  });

  it('rejects --draw with several images', async () => {
    await file('a.png', '');
    await file('b.png', '');
    expect(await run(['detect-faces', cli.dir, '--draw', 'x.png'])).to.include({ exitCode: 2 });
  });
});
