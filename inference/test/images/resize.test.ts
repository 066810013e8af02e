import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import sharp from 'sharp';
import {
  type DecodedImage,
  decodeImage,
  FloatPlanes,
  type Image,
  ImageInterpolator,
  ImageResizer,
  writePlanes,
} from '../../src/media/images/index.js';
import { inRepository } from '../support/paths.js';

/** An image in which no two neighbours are alike. */
function pattern(width: number, height: number): Image {
  const data = new Uint8Array(width * height * 3);
  for (let at = 0; at < data.length; at += 1) data[at] = (at * 2_654_435_761) >>> 24;
  return { width, height, data };
}

function digest(image: Image): string {
  return createHash('sha256').update(image.data).digest('hex').slice(0, 16);
}

/** Made with Pillow 12.3: `Image.resize` of the pattern. */
const PILLOW = [
  ['lanczos', 40, 40, 'fd267ec666ed52ed'],
  ['lanczos', 224, 31, 'ae7fa98f344c31e2'],
  ['lanczos', 101, 20, '3caf7cd6e75772b9'],
  ['lanczos', 300, 200, '8c6f68ba3a7481f4'],
  ['bilinear', 40, 40, '5fc439116d5495db'],
  ['bilinear', 224, 31, 'e2f2044647877bdb'],
  ['bilinear', 101, 20, '4bfcca24b18bc0c2'],
  ['bilinear', 300, 200, 'd85ae661fbe14f44'],
  ['bicubic', 40, 40, 'cf6779e8be12f958'],
  ['bicubic', 224, 31, 'b1e4cc3af1c9480f'],
  ['bicubic', 101, 20, 'd21426fb2dd53ffe'],
  ['bicubic', 300, 200, '7314d73b8aafb082'],
  ['box', 40, 40, '38aca57a5310c181'],
  ['box', 224, 31, '6e01f45a4d7241dd'],
  ['box', 101, 20, '48d3114882f2dfbf'],
  ['box', 300, 200, '2183106c7d3e40a3'],
] as const;
/** Made with OpenCV 5.0: `cv2.resize(..., INTER_LINEAR)` of the pattern. The last two are of several bands. */
const OPENCV = [
  [101, 67, 80, 60, '9f6cd654b3e9eb9a'],
  [101, 67, 160, 90, 'fa8e08a4bfc7dcda'],
  [101, 67, 101, 50, 'de47792d8a1a12b6'],
  [101, 67, 300, 200, '90b791d873195dfc'],
  [1100, 900, 900, 1000, 'e13cb6b990ed5121'],
  [1100, 900, 700, 500, 'b8f720349bdcc083'],
] as const;
const AIRPLANE = 'f5fa8efda87c1bdd';

/** Sizes of photographs that a decoder reduces by 2, 4 and 8. */
const LARGE = [
  [1280, 720],
  [1920, 1080],
  [4000, 3000],
] as const;
/** Levels of 255. */
const MAX_DIFFERENCE = 12;
const MAX_MEAN_DIFFERENCE = 0.5;

describe('resizing images', () => {
  const resizer = new ImageResizer();
  const interpolator = new ImageInterpolator();

  for (const [filter, width, height, expected] of PILLOW) {
    it(`equals Pillow byte for byte: ${filter} to ${width} x ${height}`, () => {
      expect(digest(resizer.resize(pattern(101, 67), width, height, filter))).to.equal(expected);
    });
  }

  it('equals Pillow byte for byte from a file', async () => {
    const file = await readFile(inRepository('demo/samples/images/04-airplane.png'));
    const { image } = await decodeImage(file, { maxPixels: 1_000_000 });
    expect(digest(resizer.resize(image, 96, 96, 'bicubic'))).to.equal(AIRPLANE);
  });

  it('differs by a few levels from an image decoded whole if its decoder has reduced it to twice the size', async () => {
    const photo = await readFile(inRepository('demo/samples/images/04-airplane.png'));
    for (const [width, height] of LARGE) {
      const jpeg = await sharp(photo).flatten().resize(width, height, { fit: 'fill' }).jpeg({ quality: 90 }).toBuffer();
      const maxPixels = width * height;
      const [whole, reduced] = await Promise.all([
        decodeImage(jpeg, { maxPixels }),
        decodeImage(jpeg, { maxPixels, target: { width: 96, height: 96 } }),
      ]);
      expect([reduced.image.width, reduced.image.height]).to.deep.equal([192, 192]);
      const small = ({ image }: DecodedImage) => resizer.resize(image, 96, 96, 'bicubic').data;
      const other = small(reduced);
      const differences = small(whole).map((level, at) => Math.abs(level - (other[at] ?? 0)));
      expect(Math.max(...differences), `${width} x ${height}`).to.be.at.most(MAX_DIFFERENCE);
      expect(differences.reduce((sum, one) => sum + one, 0) / differences.length).to.be.below(MAX_MEAN_DIFFERENCE);
    }
  });

  it('shows the same part of a JPEG that its decoder has reduced, whatever its size and EXIF orientation', async () => {
    const raw = { width: 9, height: 9, channels: 3 } as const;
    const blotches = await sharp(pattern(9, 9).data, { raw }).resize(447, 455, { fit: 'fill' }).png().toBuffer();
    for (const orientation of [1, 2, 3, 4, 5, 6, 7, 8]) {
      const jpeg = await sharp(blotches).jpeg({ quality: 95 }).withMetadata({ orientation }).toBuffer();
      const maxPixels = 447 * 455;
      const whole = await decodeImage(jpeg, { maxPixels });
      const reduced = await decodeImage(jpeg, { maxPixels, target: { width: 24, height: 24 } });
      expect([reduced.image.width, reduced.image.height]).to.deep.equal([48, 48]);
      const small = ({ image }: DecodedImage) => resizer.resize(image, 24, 24, 'bicubic').data;
      const other = small(reduced);
      const differences = small(whole).map((level, at) => Math.abs(level - (other[at] ?? 0)));
      expect(
        differences.reduce((sum, one) => sum + one, 0) / differences.length,
        `orientation ${orientation}`,
      ).to.be.below(MAX_MEAN_DIFFERENCE);
    }
  });

  it('leaves an image of the right size alone', () => {
    const image = pattern(30, 20);
    expect(digest(resizer.resize(image, 30, 20, 'bicubic'))).to.equal(digest(image));
    expect(interpolator.resize(image, 30, 20)).to.equal(image);
  });

  it('keeps a plain image plain at the strangest sizes', () => {
    const plain: Image = { width: 2, height: 3000, data: new Uint8Array(18_000).fill(77) };
    for (const filter of ['bilinear', 'bicubic', 'lanczos'] as const) {
      expect([...new Set(resizer.resize(plain, 97, 1, filter).data)]).to.deep.equal([77]);
    }
    expect([...new Set(interpolator.resize(plain, 97, 1).data)]).to.deep.equal([77]);
  });

  for (const [fromWidth, fromHeight, width, height, expected] of OPENCV) {
    it(`equals OpenCV byte for byte: linear from ${fromWidth} x ${fromHeight} to ${width} x ${height}`, () => {
      expect(digest(interpolator.resize(pattern(fromWidth, fromHeight), width, height))).to.equal(expected);
    });
  }
});

describe('writing planes', () => {
  const image: Image = { width: 2, height: 1, data: new Uint8Array([255, 0, 51, 102, 153, 204]) };

  it('writes red, green and blue to separate planes, scaled', () => {
    const planes = new Float32Array(6);
    writePlanes(image, { rescale: 1 / 255, mean: [0.5, 0, 0], std: [0.5, 1, 2] }, planes);
    for (const [at, value] of [1, -0.2, 0, 0.6, 0.1, 0.4].entries()) expect(planes[at]).to.be.closeTo(value, 1e-6);
  });

  /** Bytes as they are, blue first. */
  function writeBlueFirst(image: Image, planes: Float32Array): void {
    const data = image.data.map((_, at) => image.data[at + 2 - 2 * (at % 3)] ?? 0);
    writePlanes({ ...image, data }, { rescale: 1, mean: [0, 0, 0], std: [1, 1, 1] }, planes);
  }

  it('writes images of one frame as blue, green and red planes, padded with black', () => {
    const planes = new FloatPlanes();
    // The memory is reused: nothing of this one may be left.
    planes.write([pattern(64, 40)], { width: 64, height: 40 });
    const images = [pattern(31, 9), pattern(13, 33), pattern(32, 1)];
    const frame = { width: 32, height: 64 };
    const expected = new Float32Array(images.length * 3 * 32 * 64);
    for (const [index, one] of images.entries()) {
      const padded = { ...frame, data: new Uint8Array(3 * 32 * 64) };
      for (let row = 0; row < one.height; row += 1) {
        const line = one.data.subarray(row * one.width * 3, (row + 1) * one.width * 3);
        padded.data.set(line, row * 32 * 3);
      }
      writeBlueFirst(padded, expected.subarray(index * 3 * 32 * 64));
    }
    expect(planes.write(images, frame)).to.deep.equal(expected);
  });

  it('writes an image of more lines than are copied at a time', () => {
    const image = pattern(640, 301);
    const expected = new Float32Array(3 * 640 * 301);
    writeBlueFirst(image, expected);
    expect(new FloatPlanes().write([image], image).every((value, at) => value === expected[at])).to.equal(true);
  });
});
