import { expect } from 'chai';
import sharp from 'sharp';
import { ImageResizer } from '../../src/media/images/index.js';
import { sizeByShortestEdge } from '../../src/models/siglip/crop.js';
import { type ImageRecipe, prepareImage } from '../../src/models/siglip/preprocess.js';

const SIDE = 8;
const RECIPE: ImageRecipe = {
  width: SIDE,
  height: SIDE,
  shortestEdge: SIDE,
  filter: 'bicubic',
  rescale: 1,
  mean: [0, 0, 0],
  std: [1, 1, 1],
};

/** A PNG whose red is its column and whose green is its row. */
function gradient(width: number, height: number): Promise<Buffer> {
  const data = Buffer.alloc(width * height * 3);
  for (let at = 0; at < width * height; at++) {
    data[at * 3] = at % width;
    data[at * 3 + 1] = Math.floor(at / width);
  }
  return sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

describe('an image that is cropped to its center', () => {
  it('has its shorter side at the given length, and the longer one in proportion, rounded down', () => {
    expect(sizeByShortestEdge({ width: 640, height: 427 }, 224)).to.deep.equal({ width: 335, height: 224 });
    expect(sizeByShortestEdge({ width: 427, height: 640 }, 224)).to.deep.equal({ width: 224, height: 335 });
  });

  it('is the middle columns of a wide one and the middle rows of a tall one', async () => {
    const planes = async (width: number, height: number) => {
      const values = await prepareImage(await gradient(width, height), RECIPE, new ImageResizer(), 1e6);
      return { red: values.slice(0, SIDE), green: values.slice(SIDE * SIDE, SIDE * SIDE + 1)[0] };
    };
    expect([...(await planes(21, SIDE)).red]).to.deep.equal([6, 7, 8, 9, 10, 11, 12, 13]);
    expect(await planes(SIDE, 20)).to.deep.include({ green: 6 });
  });

  it('takes no more memory for a line of many pixels than for a short one', async () => {
    const line = await sharp({ create: { width: 2, height: 100_000, channels: 3, background: '#123456' } })
      .png()
      .toBuffer();
    const values = await prepareImage(line, RECIPE, new ImageResizer(), 1e6);
    expect(values.every((value) => [0x12, 0x34, 0x56].includes(value))).to.equal(true);
  });

  it('is where transformers takes it, however long the image is and whatever of it the decoder left out', async () => {
    const planes = async (file: Buffer) => prepareImage(file, RECIPE, new ImageResizer(), 1e7);
    for (const [width, height] of [
      [67, 1_203],
      [4_803, 133],
    ] as const) {
      const data = Buffer.alloc(width * height * 3);
      for (let at = 0; at < width * height; at++) {
        const along = ((at % width) + Math.floor(at / width)) * (12 / Math.min(width, height));
        data.fill(128 + 100 * Math.sin(along), at * 3, at * 3 + 3);
      }
      const image = sharp(data, { raw: { width, height, channels: 3 } });
      const size = sizeByShortestEdge({ width, height }, SIDE);
      const whole = new ImageResizer().resize({ width, height, data }, size.width, size.height, 'bicubic');
      const x = Math.floor((size.width - SIDE) / 2);
      const y = Math.floor((size.height - SIDE) / 2);
      const expected = Array.from({ length: SIDE * SIDE }, (_, at) => {
        return whole.data[((y + Math.floor(at / SIDE)) * size.width + x + (at % SIDE)) * 3] as number;
      });
      const jpeg = await image.jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).toBuffer();
      for (const file of [await image.png({ compressionLevel: 1 }).toBuffer(), jpeg]) {
        const red = (await planes(file)).slice(0, SIDE * SIDE);
        for (const [at, value] of expected.entries()) expect(red[at]).to.be.closeTo(value, 6);
      }
    }
  });
});
