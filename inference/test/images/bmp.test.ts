import { expect } from 'chai';
import sharp from 'sharp';
import { configureImageDecoding } from '../../src/media/images/index.js';
import { imageErrorOf, imageOf, pixelAt } from '../support/image-files.js';

interface BmpFile {
  readonly header?: 12 | 16 | 40 | 52 | 56 | 64 | 108 | 124;
  readonly bits: number;
  readonly width?: number;
  /** Negative for rows from the top. */
  readonly height?: number;
  readonly compression?: number;
  readonly masks?: readonly number[];
  readonly palette?: readonly (readonly number[])[];
  readonly pixelsAt?: number;
  readonly pixels: readonly number[];
}

/** A BMP of 2 x 2 pixels, unless it says otherwise. */
function bmp(file: BmpFile): Buffer {
  const { header = 40, bits, width = 2, height = 2, compression = 0, masks = [], palette = [] } = file;
  const info = Buffer.alloc(header);
  info.writeUInt32LE(header, 0);
  if (header === 12) {
    info.writeUInt16LE(width, 4);
    info.writeUInt16LE(height, 6);
    info.writeUInt16LE(1, 8);
    info.writeUInt16LE(bits, 10);
  } else {
    info.writeInt32LE(width, 4);
    info.writeInt32LE(height, 8);
    info.writeUInt16LE(1, 12);
    info.writeUInt16LE(bits, 14);
    if (header > 16) {
      info.writeUInt32LE(compression, 16);
      info.writeUInt32LE(palette.length, 32);
    }
  }
  const maskBytes = Buffer.alloc(masks.length * 4);
  masks.forEach((mask, index) => {
    maskBytes.writeUInt32LE(mask, index * 4);
  });
  const inside = header >= 52;
  if (inside) maskBytes.copy(info, 40);
  const colours = Buffer.from(
    palette.flatMap(([red = 0, green = 0, blue = 0]) => [blue, green, red, ...(header === 12 ? [] : [0])]),
  );
  const head = Buffer.alloc(14);
  head.write('BM', 'latin1');
  const parts = [head, info, ...(inside ? [] : [maskBytes]), colours];
  head.writeUInt32LE(file.pixelsAt ?? Buffer.concat(parts).length, 10);
  return Buffer.concat([...parts, Buffer.from(file.pixels)]);
}

/** Red and green above blue and grey, by images of 2 x 2. */
const SHOWN = [
  [255, 0, 0],
  [0, 255, 0],
  [0, 0, 255],
  [90, 90, 90],
];
const BGR = [255, 0, 0, 90, 90, 90, 0, 0, 0, 0, 255, 0, 255, 0, 0, 0];

async function shownBy(content: Buffer): Promise<number[][]> {
  const image = await imageOf(content);
  return [
    [0, 0],
    [1, 0],
    [0, 1],
    [1, 1],
  ].map(([x = 0, y = 0]) => pixelAt(image, x, y));
}

describe('BMP images', () => {
  before(() => configureImageDecoding());

  it('are read with every header of Windows and OS/2', async () => {
    for (const header of [12, 16, 40, 52, 56, 64, 108, 124] as const) {
      expect(await shownBy(bmp({ header, bits: 24, pixels: BGR })), String(header)).to.deep.equal(SHOWN);
    }
  });

  it('are read from the top if their height is negative, and without the last padding', async () => {
    const rows = [...BGR.slice(8), ...BGR.slice(0, 8)];
    expect(await shownBy(bmp({ bits: 24, height: -2, pixels: rows }))).to.deep.equal(SHOWN);
    expect(await shownBy(bmp({ bits: 24, pixels: BGR.slice(0, -2) }))).to.deep.equal(SHOWN);
  });

  it('are read with palettes of 1, 2, 4 and 8 bits', async () => {
    for (const header of [12, 40] as const) {
      const four = { header, palette: SHOWN };
      expect(await shownBy(bmp({ ...four, bits: 8, pixels: [2, 3, 0, 0, 0, 1, 0, 0] }))).to.deep.equal(SHOWN);
      expect(await shownBy(bmp({ ...four, bits: 4, pixels: [0x23, 0, 0, 0, 0x01, 0, 0, 0] }))).to.deep.equal(SHOWN);
      expect(await shownBy(bmp({ ...four, bits: 2, pixels: [0xb0, 0, 0, 0, 0x10, 0, 0, 0] }))).to.deep.equal(SHOWN);
      const two = { header, palette: SHOWN.slice(0, 2), bits: 1, pixels: [0x80, 0, 0, 0, 0x40, 0, 0, 0] };
      expect(await shownBy(bmp(two))).to.deep.equal([SHOWN[0], SHOWN[1], SHOWN[1], SHOWN[0]]);
    }
    expect(await shownBy(bmp({ palette: SHOWN.slice(0, 2), bits: 8, pixels: [9, 9, 0, 0, 0, 1, 0, 0] }))).to.deep.equal(
      [SHOWN[0], SHOWN[1], [0, 0, 0], [0, 0, 0]],
    );
  });

  it('are read with runs of 8 and of 4 bits', async () => {
    const eight = [1, 2, 1, 3, 0, 0, 0, 2, 0, 0, 1, 0, 1, 1, 0, 1];
    expect(await shownBy(bmp({ bits: 8, compression: 1, palette: SHOWN, pixels: eight }))).to.deep.equal([
      SHOWN[0],
      SHOWN[1],
      SHOWN[2],
      SHOWN[3],
    ]);
    const four = [2, 0x23, 0, 0, 2, 0x01, 0, 1];
    expect(await shownBy(bmp({ bits: 4, compression: 2, palette: SHOWN, pixels: four }))).to.deep.equal(SHOWN);
    const literal = [0, 3, 2, 3, 3, 0, 0, 0, 0, 3, 0, 1, 1, 0, 0, 1];
    expect(await shownBy(bmp({ bits: 8, compression: 1, palette: SHOWN, pixels: literal }))).to.deep.equal(SHOWN);
    // A row's last nibble, an odd number of bytes, and no mark of the end.
    const nibbles = [0, 5, 0x23, 0, 0, 0, 0, 0, 0, 3, 0x01, 0];
    expect(await shownBy(bmp({ bits: 4, compression: 2, palette: SHOWN, pixels: nibbles }))).to.deep.equal(SHOWN);
    // Left out: the first colour of the palette.
    const skipped = [0, 2, 1, 1, 1, 1, 0, 1];
    expect(await shownBy(bmp({ bits: 8, compression: 1, palette: SHOWN, pixels: skipped }))).to.deep.equal([
      SHOWN[0],
      SHOWN[1],
      SHOWN[0],
      SHOWN[0],
    ]);
  });

  it('are read with 16 and 32 bits, by their masks', async () => {
    const shorts = (...values: readonly number[]): number[] => values.flatMap((value) => [value & 255, value >> 8]);
    const five = shorts(0x1f, 0, 0x7c00, 0x3e0);
    const six = shorts(0x1f, 0, 0xf800, 0x7e0);
    const black = [SHOWN[0], SHOWN[1], SHOWN[2], [0, 0, 0]];
    expect(await shownBy(bmp({ bits: 16, pixels: five }))).to.deep.equal(black);
    for (const header of [40, 52, 56, 124] as const) {
      const file = { header, bits: 16, compression: 3, masks: [0xf800, 0x7e0, 0x1f], pixels: six };
      expect(await shownBy(bmp(file)), String(header)).to.deep.equal(black);
    }
    // The fourth byte means nothing without a mask.
    const four = [255, 0, 0, 7, 90, 90, 90, 7, 0, 0, 255, 7, 0, 255, 0, 7];
    expect(await shownBy(bmp({ bits: 32, pixels: four }))).to.deep.equal(SHOWN);
  });

  it('are put on white by their alpha, unless that is empty', async () => {
    const masks = [0xff0000, 0xff00, 0xff, 0xff000000];
    const pixels = (alpha: number): number[] => [
      255,
      0,
      0,
      alpha,
      90,
      90,
      90,
      alpha,
      0,
      0,
      255,
      alpha,
      0,
      255,
      0,
      255 * Math.sign(alpha),
    ];
    const seen = await shownBy(bmp({ header: 124, bits: 32, compression: 3, masks, pixels: pixels(1) }));
    expect(seen[1]).to.deep.equal(SHOWN[1]);
    expect(Math.min(...(seen[0] ?? []))).to.be.above(250);
    expect(await shownBy(bmp({ header: 124, bits: 32, compression: 3, masks, pixels: pixels(0) }))).to.deep.equal(
      SHOWN,
    );
    const behind = bmp({ header: 40, bits: 32, compression: 6, masks, pixels: pixels(1) });
    expect((await shownBy(behind))[1]).to.deep.equal(SHOWN[1]);
  });

  it('are converted to sRGB by a profile within the file', async () => {
    const wide = sharp({ create: { width: 1, height: 1, channels: 3, background: '#00ff00' } }).withIccProfile('p3');
    const stored = await wide.png().toBuffer();
    const { icc = Buffer.alloc(0) } = await sharp(stored).metadata();
    const [red = 0, green = 0, blue = 0] = await sharp(stored, { ignoreIcc: true }).raw().toBuffer();
    const pixels = [blue, green, red, blue, green, red, 0, 0];
    const file = Buffer.concat([bmp({ header: 124, bits: 24, pixels: [...pixels, ...pixels] }), icc]);
    expect(pixelAt(await imageOf(file), 0, 0)).to.deep.equal([red, green, blue]);
    file.write('DEBM', 14 + 56, 'latin1');
    file.writeUInt32LE(file.length - icc.length - 14, 14 + 112);
    file.writeUInt32LE(icc.length, 14 + 116);
    expect((await imageOf(file)).data[0]).to.be.below(20);
    // Not all of it is there.
    expect(pixelAt(await imageOf(file.subarray(0, -1)), 0, 0)).to.deep.equal([red, green, blue]);
  });

  it('are refused by name for other compressions and depths', async () => {
    for (const [file, name] of [
      [{ bits: 24, compression: 4, pixels: BGR }, 'a BMP with JPEG compression'],
      [{ bits: 24, compression: 5, pixels: BGR }, 'a BMP with PNG compression'],
      [{ header: 64, bits: 1, compression: 3, pixels: BGR }, 'an OS/2 bitmap with Huffman 1D compression'],
      [{ header: 64, bits: 24, compression: 4, pixels: BGR }, 'an OS/2 bitmap with RLE24 compression'],
      [{ bits: 64, pixels: BGR }, 'a BMP of 64 bits a pixel with compression 0'],
      [{ bits: 24, compression: 1, pixels: BGR }, 'a BMP of 24 bits a pixel with compression 1'],
    ] as const) {
      expect((await imageErrorOf(bmp(file))).message).to.contain(
        `Expected a supported BMP image, got ${name}. Save it`,
      );
    }
  });

  it('are refused if their header is inconsistent', async () => {
    for (const [file, message] of [
      [{ bits: 24, width: -2, pixels: BGR }, 'its header says -2 x 2 pixels'],
      [{ bits: 24, height: 0, pixels: BGR }, 'its header says 2 x 0 pixels'],
      [{ bits: 24, height: -2_147_483_648, pixels: BGR }, 'its header says 2 x -2147483648 pixels'],
      [{ bits: 24, width: 900, height: 900, pixels: BGR }, 'about 100 % of its pixels are missing'],
      [{ bits: 24, pixelsAt: 0xffff_fff0, pixels: BGR }, 'the file ends too early'],
      [{ bits: 24, pixelsAt: 3, pixels: BGR }, 'its header says that the pixels begin at byte 3'],
      [
        { bits: 16, compression: 3, masks: [0x51ed51ec, 0x7e0, 0x1f], pixels: BGR },
        'masks that are no parts of a pixel',
      ],
      [{ bits: 32, compression: 3, masks: [0xff00, 0xff00, 0xff], pixels: BGR }, 'masks that are no parts of a pixel'],
      [{ bits: 24, pixels: BGR.slice(0, 9) }, 'the file ends too early: about 44 % of its pixels are missing'],
      [{ bits: 8, compression: 1, palette: SHOWN, pixels: [2, 1, 0] }, 'the file ends too early, within its pixels'],
      [{ bits: 8, compression: 1, palette: SHOWN, pixels: [0, 200, 1] }, 'the file ends too early, within its pixels'],
    ] as const) {
      const error = await imageErrorOf(bmp(file));
      expect(error.code, message).to.equal('IMAGE_UNREADABLE');
      expect(error.message).to.contain('Expected a whole BMP image').and.to.contain(message);
    }
    expect((await imageErrorOf(bmp({ bits: 24, width: 100_000, height: 100_000, pixels: BGR }))).code).to.equal(
      'IMAGE_TOO_LARGE',
    );
    expect((await imageErrorOf(bmp({ bits: 24, pixels: BGR }).subarray(0, 30))).message).to.contain(
      'ends within its header',
    );
  });
});
