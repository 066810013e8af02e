import { expect } from 'chai';
import sharp, { type Sharp } from 'sharp';
import { configureImageDecoding } from '../../src/media/images/index.js';
import { pngChunk, pngPixels } from '../../src/media/images/png-chunks.js';
import { halves, imageErrorOf, imageOf } from '../support/image-files.js';

const END = pngChunk('IEND', new Uint8Array(0));

/** The parts of the file of an image: what is in front of its pixels, and these as compressed. */
async function partsOf(image: Sharp): Promise<{ readonly start: Buffer; readonly pixels: Buffer }> {
  const file = await image.png().toBuffer();
  const { at = 0, data = Buffer.alloc(0) } = pngPixels(file) ?? {};
  return { start: file.subarray(0, at), pixels: Buffer.from(data) };
}

/** The EXIF data of an orientation. */
function exif(orientation: number): Buffer {
  const data = Buffer.from('4d4d002a00000008000101120003000000010000000000000000', 'hex');
  data.writeUInt16BE(orientation, 18);
  return data;
}

describe('a PNG', () => {
  before(() => configureImageDecoding());

  it('is read without the checksums of its pixels if these are whole, as by Pillow', async () => {
    const { start, pixels } = await partsOf(halves());
    const expected = await imageOf(Buffer.concat([start, pngChunk('IDAT', pixels), END]));
    const wrong = pngChunk('IDAT', pixels);
    wrong.writeUInt32BE(1, wrong.length - 4);
    const whole = pngChunk('IDAT', pixels);
    for (const [name, ...chunks] of [
      ['no sum', pngChunk('IDAT', pixels.subarray(0, -4)), END],
      ['a part of the sum', pngChunk('IDAT', pixels.subarray(0, -1)), END],
      ['a wrong checksum', wrong, END],
      ['no checksum', whole.subarray(0, -4)],
      ['neither', whole.subarray(0, -8)],
    ] as const) {
      expect(await imageOf(Buffer.concat([start, ...chunks])), name).to.deep.equal(expected);
    }
  });

  it('is refused if pixels are missing, or if their checksum and their sum say that they are damaged', async () => {
    const { start, pixels } = await partsOf(halves());
    const damaged = pngChunk('IDAT', pixels);
    damaged.writeUInt32BE(1, damaged.length - 8);
    for (const chunk of [pngChunk('IDAT', pixels.subarray(0, -6)), damaged]) {
      const error = await imageErrorOf(Buffer.concat([start, chunk, END]));
      expect(error.message).to.match(/Expected a whole PNG image/);
    }
  });

  it('has the pixels that libvips reads, in each of its kinds', async () => {
    const [width, height] = [40, 30];
    const data = Uint8Array.from({ length: width * height * 3 }, (_, index) => (index * 7) % 256);
    const image = sharp(data, { raw: { width, height, channels: 3 } });
    for (const [kind, options] of [
      ['interlaced', { progressive: true }],
      ['a palette of 8 bits', { palette: true }],
      ['a palette of 2 bits', { palette: true, colours: 4, dither: 0 }],
      ['a palette of 1 bit', { palette: true, colours: 2, dither: 0 }],
    ] as const) {
      const file = await image.clone().png(options).toBuffer();
      expect(Buffer.compare((await imageOf(file)).data, await sharp(file).raw().toBuffer()), kind).to.equal(0);
    }
  });

  it('lies on white by its alpha, rounded as by Pillow, in colour and in grey', async () => {
    const [colours, alphas] = [(at: number) => at % 256, (at: number) => at >> 8];
    const expected = Uint8Array.from({ length: 65_536 * 3 }, (_, index) => {
      const at = Math.floor(index / 3);
      return Math.round((colours(at) * alphas(at) + 255 * (255 - alphas(at))) / 255);
    });
    for (const channels of [2, 4] as const) {
      const samples = Uint8Array.from({ length: 65_536 * channels }, (_, index) =>
        (index % channels === channels - 1 ? alphas : colours)(Math.floor(index / channels)),
      );
      const file = sharp(samples, { raw: { width: 256, height: 256, channels } }).png();
      expect(Buffer.compare((await imageOf(await file.toBuffer())).data, expected), `${channels} channels`).to.equal(0);
    }
  });

  it('is turned as the last of its EXIF data says, wherever that lies and however it begins, as by Pillow', async () => {
    const { start, pixels } = await partsOf(halves());
    const plain = Buffer.concat([start, pngChunk('IDAT', pixels), END]);
    const turned = await imageOf(await sharp(plain).rotate(90).png().toBuffer());
    const [right, upsideDown] = [pngChunk('eXIf', exif(6)), pngChunk('eXIf', exif(3))];
    const fromJpeg = pngChunk('eXIf', Buffer.concat([Buffer.from('Exif\0\0', 'latin1'), exif(6)]));
    for (const [name, before, behind, data = pixels] of [
      ['in front', [right], []],
      // As ImageMagick writes it.
      ['behind', [], [right]],
      ['as in a JPEG', [fromJpeg], []],
      ['two in front', [upsideDown, right], []],
      ['one on each side', [upsideDown], [fromJpeg]],
      ['a truncated one', [right], [upsideDown.subarray(0, -8)]],
      ['behind pixels without their sum', [], [right], pixels.subarray(0, -4)],
    ] as const) {
      const file = Buffer.concat([start, ...before, pngChunk('IDAT', data), ...behind]);
      expect(await imageOf(file), name).to.deep.equal(turned);
    }
  });
});
