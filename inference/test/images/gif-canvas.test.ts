import { expect } from 'chai';
import sharp from 'sharp';
import { configureImageDecoding, decodeImage } from '../../src/media/images/index.js';
import { imageOf, pixelAt } from '../support/image-files.js';
import { Random } from '../support/random.js';
import { errorOf } from '../support/rejection.js';

/** A GIF whose frame of 40 x 20 red pixels, none of them transparent, lies somewhere on a canvas; its background colour is another. */
async function redFrame(canvas: readonly [number, number], position: readonly [number, number]): Promise<Buffer> {
  const red = sharp({ create: { width: 40, height: 20, channels: 3, background: '#ff0000' } });
  const file = await red.gif().toBuffer();
  const table = 13 + ((file[10] ?? 0) & 0x80 ? 3 * 2 ** (((file[10] ?? 0) & 7) + 1) : 0);
  const control = file.indexOf(Buffer.from([0x21, 0xf9]), table);
  const frame = file.indexOf(Buffer.from([0x2c, 0, 0, 0, 0, 40, 0, 20, 0]), table);
  file.writeUInt16LE(canvas[0], 6);
  file.writeUInt16LE(canvas[1], 8);
  file[11] = 0;
  // The decoder fills the canvas of a frame with transparent pixels as it should.
  file[control + 3] = (file[control + 3] ?? 0) & ~1;
  file.writeUInt16LE(position[0], frame + 1);
  file.writeUInt16LE(position[1], frame + 3);
  return file;
}

const RED = [255, 0, 0];
const WHITE = [255, 255, 255];

describe('the canvas of a GIF', () => {
  before(() => configureImageDecoding());

  for (const [left, top, width, height] of [
    [10, 25, 60, 50],
    [0, 25, 60, 50],
    [10, 0, 60, 50],
    [0, 0, 60, 50],
    [0, 0, 40, 50],
    [0, 0, 60, 20],
  ] as const) {
    it(`of ${width} x ${height} is white around a first frame at ${left}, ${top}, for any background colour`, async () => {
      const image = await imageOf(await redFrame([width, height], [left, top]));
      expect([image.width, image.height]).to.deep.equal([width, height]);
      const isInside = (x: number, y: number) => x >= left && x < left + 40 && y >= top && y < top + 20;
      const wrong = Array.from({ length: width * height }, (_, at) => [at % width, Math.floor(at / width)] as const)
        .filter(([x, y]) => pixelAt(image, x, y).join() !== (isInside(x, y) ? RED : WHITE).join())
        .map(([x, y]) => `${x},${y}`);
      expect(wrong).to.deep.equal([]);
    });
  }

  it('grows with a first frame that reaches beyond it, as browsers do it', async () => {
    const { header, image } = await decodeImage(await redFrame([30, 30], [10, 25]), { maxPixels: 10_000 });
    expect([header.width, header.height]).to.deep.equal([image.width, image.height]);
    expect([image.width, image.height]).to.deep.equal([50, 45]);
    expect(pixelAt(image, 49, 44)).to.deep.equal(RED);
    expect(pixelAt(image, 0, 0)).to.deep.equal(WHITE);
  });

  it('is its first frame if that covers the canvas', async () => {
    const image = await imageOf(await redFrame([40, 20], [0, 0]));
    expect(new Set(image.data)).to.deep.equal(new Set([255, 0]));
    expect(pixelAt(image, 39, 19)).to.deep.equal(RED);
  });

  it('is read without the end of the file, and refused without the end of its pixels', async () => {
    const noise = sharp(new Random(3).bytes(40 * 40 * 3), { raw: { width: 40, height: 40, channels: 3 } });
    const large = await noise.gif().toBuffer();
    for (const file of [await redFrame([40, 20], [0, 0]), await redFrame([60, 50], [10, 25]), large]) {
      const whole = await imageOf(file);
      for (const missing of [1, 2]) expect(await imageOf(file.subarray(0, -missing))).to.deep.equal(whole);
      const error = await errorOf(imageOf(file.subarray(0, -3)));
      expect(error.message).to.contain('the file may be cut off');
    }
    // Here one of several full blocks ends.
    const table = 13 + 3 * 2 ** (((large[10] ?? 0) & 7) + 1);
    const firstBlock = large.indexOf(Buffer.of(0x2c, 0, 0, 0, 0, 40, 0, 40, 0), table) + 11;
    expect(large[firstBlock]).to.be.at.least(254);
    const cut = large.subarray(0, firstBlock + 1 + (large[firstBlock] ?? 0));
    expect((await errorOf(imageOf(cut))).message).to.contain('the file may be cut off');
  });

  it('is white at transparent pixels of the first frame, inside and outside', async () => {
    const data = new Uint8Array(8 * 8 * 4).fill(255);
    for (let pixel = 0; pixel < 32; pixel += 1) data.set([0, 0, 255, pixel < 16 ? 0 : 255], pixel * 4);
    const file = await sharp(data, { raw: { width: 8, height: 8, channels: 4 } })
      .gif()
      .toBuffer();
    file.writeUInt16LE(12, 6);
    const image = await imageOf(file);
    expect(pixelAt(image, 3, 0)).to.deep.equal(WHITE);
    expect(pixelAt(image, 3, 3)).to.deep.equal([0, 0, 255]);
    expect(pixelAt(image, 10, 3)).to.deep.equal(WHITE);
  });

  it('is resized with its white background for a small model', async () => {
    const { image } = await decodeImage(await redFrame([1200, 1000], [0, 0]), {
      maxPixels: 2_000_000,
      target: { width: 20, height: 20 },
    });
    expect([image.width, image.height]).to.deep.equal([40, 40]);
    expect(pixelAt(image, 30, 30)).to.deep.equal(WHITE);
  });
});
