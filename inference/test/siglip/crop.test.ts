import { expect } from 'chai';
import sharp from 'sharp';
import { ImageResizer } from '../../src/media/images/index.js';
import { centerCrop, sizeByShortestEdge } from '../../src/models/siglip/crop.js';
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

  it('takes no more memory for a line of many pixels than for one of sixteen times its width', async () => {
    const line = await sharp({ create: { width: 2, height: 100_000, channels: 3, background: '#123456' } })
      .png()
      .toBuffer();
    const values = await prepareImage(line, RECIPE, new ImageResizer(), 1e6);
    expect(values.every((value) => [0x12, 0x34, 0x56].includes(value))).to.equal(true);
  });

  it('is the image itself if nothing is left over', () => {
    const image = { width: 1, height: 1, data: Uint8Array.of(1, 2, 3) };
    expect(centerCrop(image, image)).to.equal(image);
  });
});
