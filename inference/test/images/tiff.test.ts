import { expect } from 'chai';
import sharp from 'sharp';
import { configureImageDecoding } from '../../src/media/images/index.js';
import { readTiffDirectories, type TiffDirectory, withOneDirectory } from '../../src/media/images/tiff/directories.js';
import { chooseTiffPage } from '../../src/media/images/tiff/page.js';
import { imageErrorOf, imageFixture, imageOf, pixelAt } from '../support/image-files.js';
import { type ImageTags, imageTags, type TiffPageFile, type TiffTag, writeTiff } from '../support/tiff-file.js';

const SIZE = { width: 4, height: 3 };
const PIXELS = SIZE.width * SIZE.height;
/** Of every pixel. */
const ORANGE = [250, 130, 10];

/** A page of which every pixel has these bytes. */
function page(
  pixel: readonly number[],
  tags: Omit<ImageTags, 'width' | 'height'>,
  children: readonly TiffPageFile[] = [],
): TiffPageFile {
  const pixels = Buffer.concat(Array.from({ length: PIXELS }, () => Buffer.from(pixel)));
  return { tags: imageTags({ ...SIZE, ...tags }), pixels, children };
}

async function firstPixel(...pages: readonly TiffPageFile[]): Promise<number[]> {
  return pixelAt(await imageOf(writeTiff(pages)), 1, 1);
}

async function messageOf(...pages: readonly TiffPageFile[]): Promise<string> {
  const error = await imageErrorOf(writeTiff(pages));
  expect(error.code).to.equal('IMAGE_UNREADABLE');
  return error.message;
}

function extra(...kinds: readonly number[]): TiffTag {
  return [338, 3, kinds];
}
function floats(...values: readonly number[]): number[] {
  return [...Buffer.from(Float32Array.from(values).buffer)];
}
function wide(values: readonly number[]): number[] {
  return values.flatMap((value) => [0, 0, 0, value]);
}
const FLOAT: TiffTag = [339, 3, [3]];
const THUMBNAIL: TiffTag = [254, 4, [1]];

describe('TIFF images', () => {
  before(() => configureImageDecoding());

  it('are refused if many tags share their bytes, each of which the decoder would read', async () => {
    const shared = (count: number): Promise<string> => {
      const content = Buffer.alloc(100_000);
      const more = Array.from({ length: count }, (_, at) => [40_000 + at, 7, 90_000, 8] as const);
      const tags = [[256, 3, 1, 4], [257, 3, 1, 3], ...more] as const;
      content.write('II*\0', 'latin1');
      content.writeUInt32LE(90_008, 4);
      content.writeUInt16LE(tags.length, 90_008);
      for (const [index, [tag, type, values, offset]] of tags.entries()) {
        const entry = 90_010 + index * 12;
        content.writeUInt16LE(tag, entry);
        content.writeUInt16LE(type, entry + 2);
        content.writeUInt32LE(values, entry + 4);
        content.writeUInt32LE(offset, entry + 8);
      }
      return imageErrorOf(content).then(({ message }) => message);
    };
    expect(await shared(5)).to.contain('the values of its tags together are many times as long as the file');
    expect(await shared(4)).to.not.contain('many times');
  });

  it('are shown to the decoder one page alone: it would read them all, and all that they refer to', async () => {
    const pages = [page([1, 2, 3], { samples: 3 }), page(ORANGE, { samples: 3 }), page([4, 5, 6], { samples: 3 })];
    for (const file of [writeTiff(pages), writeTiff(pages, true)]) {
      const [, second] = readTiffDirectories(file);
      const alone = withOneDirectory(file, second as TiffDirectory);
      expect(readTiffDirectories(alone)).to.deep.equal([second]);
      expect(pixelAt(await imageOf(alone), 1, 1)).to.deep.equal(ORANGE);
      expect(
        (await sharp(withOneDirectory(file, chooseTiffPage(file)?.directory as TiffDirectory)).metadata()).pages,
      ).to.equal(1);
      expect(withOneDirectory(alone, second as TiffDirectory)).to.equal(alone);
      expect(pixelAt(await imageOf(file), 1, 1)).to.deep.equal([1, 2, 3]);
    }
  });

  it('are read where a tag that says nothing about the samples has a value that does not exist, such as 0', async () => {
    for (const [tag, values] of [
      [274, [0, 9]],
      [296, [0, 4]],
    ] as const) {
      for (const value of values) {
        for (const type of [1, 3, 4] as const) {
          const more: TiffTag[] = [[tag, type, [value]]];
          const odd = page(ORANGE, { samples: 3, more });
          for (const isBigEndian of [false, true]) {
            const image = await imageOf(writeTiff([odd], isBigEndian));
            expect(pixelAt(image, 1, 1), `${tag}: ${value} of type ${type}, ${isBigEndian}`).to.deep.equal(ORANGE);
          }
        }
      }
    }
    const unknown: TiffTag = [274, 3, [0]];
    const full = page(ORANGE, { samples: 3, more: [unknown] });
    expect(await firstPixel(page([1, 2, 3], { samples: 3, more: [THUMBNAIL, unknown] }, [full]))).to.deep.equal(ORANGE);
  });

  it('show their colours with any additional samples', async () => {
    expect(await firstPixel(page(ORANGE, { samples: 3 }))).to.deep.equal(ORANGE);
    for (const more of [[7], [7, 8], [7, 8, 9], [7, 8, 9, 10, 11, 12]]) {
      const tags = { samples: 3 + more.length, more: [extra(...more.map(() => 0))] };
      expect(await firstPixel(page([...ORANGE, ...more], tags)), `${more.length} more`).to.deep.equal(ORANGE);
    }
    const deep = [...ORANGE, 7, 8].flatMap((value) => [0, value]);
    expect(await firstPixel(page(deep, { samples: 5, bits: 16, more: [extra(0, 0)] }))).to.deep.equal(ORANGE);
    const grey = { samples: 3, photometric: 1, more: [extra(0, 0)] };
    expect(await firstPixel(page([90, 7, 8], grey))).to.deep.equal([90, 90, 90]);
  });

  it('are composited on white if the first extra sample is alpha, or is the only one and called nothing', async () => {
    const half = [...ORANGE, 128];
    const expected = [253, 192, 132];
    for (const file of [
      page(half, { samples: 4, more: [extra(2)] }),
      page(half, { samples: 4 }),
      page(wide(half), { samples: 4, bits: 32 }),
      page([...half, 9], { samples: 5, more: [extra(2, 0)] }),
      page([...half, 9, 9, 9], { samples: 7, more: [extra(2, 0, 0, 0)] }),
      page(wide(half), { samples: 4, bits: 32, more: [extra(2)] }),
      page([...ORANGE.map((value) => Math.round((value * 128) / 255)), 128, 9], { samples: 5, more: [extra(1, 0)] }),
    ]) {
      (await firstPixel(file)).forEach((value, channel) => {
        expect(value).to.be.closeTo(expected[channel] ?? Number.NaN, 2);
      });
    }
    const grey = { samples: 3, photometric: 1, more: [extra(2, 0)] };
    const deep = [90, 128, 9].flatMap((value) => [value, value]);
    for (const file of [
      page([90, 128, 9], grey),
      page(deep, { ...grey, bits: 16 }),
      page(wide([90, 128, 9]), { ...grey, bits: 32 }),
    ])
      for (const value of await firstPixel(file)) expect(value).to.be.closeTo(172, 1);
  });

  it('are read with unsigned numbers of 32 bits by their upper byte, and with floats from 0 to 1', async () => {
    expect(await firstPixel(page(wide(ORANGE), { samples: 3, bits: 32 }))).to.deep.equal(ORANGE);
    expect(await firstPixel(page(wide([200]), { samples: 1, bits: 32, photometric: 0 }))).to.deep.equal([55, 55, 55]);
    const share = ORANGE.map((value) => value / 255);
    expect(await firstPixel(page(floats(...share), { samples: 3, bits: 32, more: [FLOAT] }))).to.deep.equal(ORANGE);
    const withMore = { samples: 4, bits: 32, more: [FLOAT, extra(0)] };
    expect(await firstPixel(page(floats(...share, 700).slice(0, 16), withMore)).then(() => 'read', String)).to.match(
      /between 0 and 1/,
    );
    expect(await firstPixel(page(floats(0, 1, 0.5), { samples: 3, bits: 32, more: [FLOAT] }))).to.deep.equal([
      0, 255, 128,
    ]);
  });

  it('are refused by name if white is undefined', async () => {
    for (const value of [1.5, -0.1, 200, Number.NaN, Number.POSITIVE_INFINITY]) {
      const message = await messageOf(page(floats(value), { samples: 1, bits: 32, photometric: 1, more: [FLOAT] }));
      expect(message, String(value)).to.match(/floating-point samples that are not all between 0 and 1.*Scale it/);
    }
    const noWhite = { samples: 1, bits: 32, photometric: 1 };
    const profile: TiffTag = [34_675, 7, [0]];
    expect(await messageOf(page(floats(1), { ...noWhite, more: [FLOAT, profile] }))).to.contain('linear light (HDR)');
    expect(await messageOf(page(floats(1), { ...noWhite, photometric: 0, more: [FLOAT] }))).to.contain('0 is white');
    const inks = { samples: 6, photometric: 5, more: [extra(0, 0)] };
    expect(await messageOf(page([1, 2, 3, 4, 5, 6], inks))).to.contain('samples besides the four inks');
    const signed: TiffTag = [339, 3, [2]];
    expect(await messageOf(page([0, 1], { samples: 1, bits: 16, photometric: 1, more: [signed] }))).to.contain(
      'signed numbers of 16 bits',
    );
    expect(await messageOf(page([0, 1], { samples: 1, bits: 12, photometric: 1 }))).to.contain('samples of 12 bits');
    expect(await messageOf(page([0, 0], { samples: 1, bits: 16, photometric: 1, more: [FLOAT] }))).to.contain(
      'floating-point samples of 16 bits',
    );
  });

  it('are refused by name if several samples have fewer than 8 bits', async () => {
    for (const bits of [1, 2, 4]) {
      expect(await messageOf(page([0, 0, 0], { samples: 3, bits })), `${bits}`).to.contain('each of fewer than 8 bits');
      expect(await firstPixel(page([0], { samples: 1, bits, photometric: 1 })), `${bits}`).to.deep.equal([0, 0, 0]);
    }
  });

  it('are refused by name if separate planes are tiled, or of grey and other samples', async () => {
    const planes: TiffTag = [284, 3, [2]];
    const tiles: readonly TiffTag[] = [planes, [322, 3, [16]], [323, 3, [16]]];
    expect(await messageOf(page(ORANGE, { samples: 3, more: tiles }))).to.contain('separate planes of tiles');
    const two = (photometric: number) => page([90, 128], { samples: 2, photometric, more: [planes, extra(2)] });
    expect(await messageOf(two(1))).to.contain('separate planes of grey and other samples');
    expect(await messageOf(two(3))).to.contain('2 samples a pixel, one of them for a palette. Convert it');
  });

  it('are refused by name if tiles with JPEG compression have other samples than colours', async () => {
    const jpeg: readonly TiffTag[] = [
      [259, 3, [7]],
      [322, 3, [16]],
      [323, 3, [16]],
    ];
    const message = /JPEG compression of alpha or other samples\. Write it in strips/;
    expect(await messageOf(page([...ORANGE, 128], { samples: 4, more: [...jpeg, extra(2)] }))).to.match(message);
    expect(await messageOf(page([90, 128], { samples: 2, photometric: 1, more: jpeg }))).to.match(message);
  });

  it('are read with the first of two tags of one number, as by other programs', async () => {
    const camera: TiffTag = [262, 3, [32_803]];
    expect(await firstPixel(page(ORANGE, { samples: 3, more: [camera] }))).to.deep.equal(ORANGE);
  });

  it('are refused by name if colours of 32 bits are multiplied by alpha', async () => {
    const multiplied = page(wide([...ORANGE, 128]), { samples: 4, bits: 32, more: [extra(1)] });
    expect(await messageOf(multiplied)).to.contain('samples of 32 bits that are multiplied by alpha');
  });

  it('are refused by name for colours and compressions that are not read', async () => {
    const compressed = (number: number): TiffPageFile => page(ORANGE, { samples: 3, more: [[259, 3, [number]]] });
    for (const [number, name] of [
      [6, 'old-style JPEG'],
      [34_712, 'JPEG 2000'],
      [34_887, 'LERC'],
      [50_000, 'Zstandard'],
      [12_345, 'number 12345'],
    ] as const) {
      expect(await messageOf(compressed(number)), name).to.contain(`got one with ${name} compression. Convert it`);
    }
    for (const ccitt of [2, 3, 4]) {
      expect(await messageOf(compressed(ccitt))).to.contain('CCITT compression of more than black and white');
    }
    for (const [photometric, name] of [
      [6, 'YCbCr'],
      [8, 'CIELAB'],
      [32_845, 'photometric interpretation 32845'],
    ] as const) {
      expect(await messageOf(page(ORANGE, { samples: 3, photometric })), name).to.contain(
        `got one whose colours are ${name}`,
      );
    }
  });

  it('give the first page that is no smaller copy of another', async () => {
    const blue = (more: readonly TiffTag[]): TiffPageFile => page([0, 0, 255], { samples: 3, more });
    const orange = (more: readonly TiffTag[] = []): TiffPageFile => page(ORANGE, { samples: 3, more });
    expect(await firstPixel(blue([THUMBNAIL]), orange())).to.deep.equal(ORANGE);
    expect(await firstPixel(blue([[254, 4, [4]]]), orange())).to.deep.equal(ORANGE);
    expect(await firstPixel(blue([[255, 3, [2]]]), orange([[255, 3, [1]]]))).to.deep.equal(ORANGE);
    expect(await firstPixel(orange([[254, 4, [2]]]), blue([[254, 4, [2]]]))).to.deep.equal(ORANGE);
    expect(await firstPixel(page([0, 0, 255], { samples: 3, more: [THUMBNAIL] }, [orange()]))).to.deep.equal(ORANGE);
    expect(await firstPixel(blue([THUMBNAIL]))).to.deep.equal([0, 0, 255]);
  });

  it('are detected as camera raw files by content', async () => {
    const sensor = page([7], { samples: 1, photometric: 32_803 });
    const raw = (more: readonly TiffTag[]): TiffPageFile =>
      page(ORANGE, { samples: 3, more: [THUMBNAIL, ...more] }, [sensor]);
    const make: TiffTag = [271, 2, [...Buffer.from('NIKON CORPORATION\0', 'latin1')]];
    expect(await messageOf(raw([]))).to.contain('a camera raw file (DNG or the like)');
    expect(await messageOf(raw([[50_706, 1, [1, 4, 0, 0]]]))).to.contain('a DNG camera raw file');
    expect(await messageOf(page(ORANGE, { samples: 3, photometric: 34_892 }))).to.contain('camera raw file');
    // A photograph that was developed names its camera too.
    expect(await firstPixel(page(ORANGE, { samples: 3, more: [make] }))).to.deep.equal(ORANGE);
  });

  it('are read in tiles, in planes, as BigTIFF and with every compression of the decoder', async () => {
    const image = sharp(imageFixture('rgb_uint32.tif')).removeAlpha();
    const png = await imageOf(await image.clone().toColourspace('srgb').png().toBuffer());
    const source = sharp(png.data, { raw: { width: png.width, height: png.height, channels: 3 } });
    for (const compression of ['none', 'lzw', 'deflate', 'packbits'] as const) {
      for (const more of [{}, { tile: true, tileWidth: 32, tileHeight: 16 }, { bigtiff: true }]) {
        expect(
          await imageOf(
            await source
              .clone()
              .tiff({ compression, ...more })
              .toBuffer(),
          ),
          compression,
        ).to.deep.equal(png);
      }
    }
    const tiled = sharp(Buffer.alloc(48 * 40 * 4, 128), { raw: { width: 48, height: 40, channels: 4 } });
    const withAlpha = await tiled.tiff({ compression: 'lzw', tile: true, tileWidth: 32, tileHeight: 16 }).toBuffer();
    for (const value of pixelAt(await imageOf(withAlpha), 47, 39)) expect(value).to.be.closeTo(191, 1);
    const planes = Buffer.concat([0, 1, 2].map((channel) => Buffer.alloc(PIXELS, ORANGE[channel])));
    const strips: TiffTag[] = [[284, 3, [2]]];
    const file = { tags: imageTags({ ...SIZE, samples: 3, more: strips }), pixels: planes };
    // One strip for each plane is what the format wants; the tags written here name one, which is damage.
    expect((await imageErrorOf(writeTiff([file]))).code).to.equal('IMAGE_UNREADABLE');
  });

  it('are read in tiles of one sample a pixel, which some programs call a plane', async () => {
    const grey = await sharp(Buffer.alloc(48 * 40, 90), { raw: { width: 48, height: 40, channels: 1 } })
      .toColourspace('b-w')
      .tiff({ compression: 'lzw', tile: true, tileWidth: 32, tileHeight: 16 })
      .toBuffer();
    const planes = grey.indexOf(Buffer.from([28, 1, 3, 0, 1, 0, 0, 0, 1, 0]));
    grey[planes + 8] = 2;
    expect(pixelAt(await imageOf(grey), 47, 39)).to.deep.equal([90, 90, 90]);
  });

  it('are searched for their directories up to a number of entries, however many refer to the same bytes', () => {
    const small = (tags: readonly TiffTag[]): TiffPageFile => ({ tags, pixels: Buffer.alloc(0) });
    const many = Array.from({ length: 4_000 }, (): TiffTag => [258, 3, [8, 8, 8]]);
    const shared = writeTiff([small(many)]);
    const at = shared.readUInt32LE(4);
    const parents = Buffer.alloc(64 + 20 * 18);
    for (let child = 0; child < 16; child += 1) parents.writeUInt32LE(at, child * 4);
    for (let parent = 0; parent < 20; parent += 1) {
      const entry = 64 + parent * 18;
      parents.writeUInt16LE(1, entry);
      parents.writeUInt16LE(330, entry + 2);
      parents.writeUInt16LE(4, entry + 4);
      parents.writeUInt32LE(16, entry + 6);
      parents.writeUInt32LE(shared.length, entry + 10);
      parents.writeUInt32LE(parent === 19 ? 0 : shared.length + entry + 18, entry + 14);
    }
    shared.writeUInt32LE(shared.length + 64, 4);
    const directories = readTiffDirectories(Buffer.concat([shared, parents]));
    expect(directories.flatMap(({ children }) => children).length).to.equal(49);
  });

  it('are bounded by the bytes that they unpack to', async () => {
    const tags = imageTags({
      width: 900,
      height: 900,
      samples: 32,
      bits: 32,
      more: [extra(...new Array<number>(29).fill(0))],
    });
    const error = await imageErrorOf(writeTiff([{ tags, pixels: new Uint8Array(10) }]));
    expect(error.code).to.equal('IMAGE_TOO_LARGE');
    expect(error.message).to.contain('32 samples of 32 bits a pixel');
  });
});
