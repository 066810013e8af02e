import { expect } from 'chai';
import { configureImageDecoding, readImageHeader } from '../../src/media/images/index.js';
import { imageErrorOf, imageFixture, imageOf, meanOf, pixelAt } from '../support/image-files.js';

/**
 * Files, their sizes, pixels at a quarter, three quarters (of the upper quarter) and the lower middle, and means of the channels. By Pillow 13
 * with pillow-heif 1.8 and pillow-jxl-plugin 1.4, on white; Display P3 through its ImageCms.
 */
const EXPECTED = `
iphone_like.heic            96x72  176,134,34   12,11,7      159,105,41   110.8,85.7,46.4
ten_bits.heic               80x50  165,121,20   12,8,9       154,109,44   110.2,85.9,45.3
alpha.heic                  80x50  232,221,197  70,67,68     204,181,149  176.8,167.7,150.1
premultiplied.avif          80x50  170,206,149  180,164,102  156,111,128  178.1,157.1,138.1
second_is_primary.heic      80x50  164,121,25   11,7,8       154,108,46   110.8,85.7,46.3
grid_mirrored.heic          80x50  18,11,19     150,113,43   161,108,38   110.8,85.7,46.3
grid_turned.heic            50x80  104,49,8     165,121,24   81,98,54     110.8,85.7,46.3
grid_display_p3.heic        80x50  173,119,0    13,8,9       162,107,25   114.9,84.1,35.9
x.jxl                       96x72  171,135,69   5,7,2        157,111,51   110.9,85.9,47.3
turned.jxl                  50x80  99,51,15     152,120,63   79,95,40     111,85.8,47.3
alpha.jxl                   80x50  229,221,207  66,66,65     204,181,149  177,167.8,150.7
animated.avif               96x72  170,129,47   12,11,9      160,112,47   110.5,86.1,45.6
x.bmp                       96x72  182,131,44   15,7,17      157,108,39   110.8,85.7,46.2
missing_eoi.jpg             96x72  166,134,57   8,8,6        154,104,41   110.8,85.7,46.2
rgb_two_extra_channels.tif  96x72  182,131,44   15,7,17      157,108,39   110.8,85.7,46.2
rgb_uint32.tif              96x72  182,131,44   15,7,17      157,108,39   110.8,85.7,46.2
`
  .trim()
  .split('\n')
  .map((line) => {
    const [name = '', ...columns] = line.split(/ +/);
    const [[width = 0, height = 0] = [], ...pixels] = columns.map((column) => column.split(/[x,]/).map(Number));
    return { name, width, height, pixels, mean: pixels.pop() ?? [] };
  });

describe('images of every kind', () => {
  before(() => configureImageDecoding());

  for (const { name, width, height, pixels, mean } of EXPECTED) {
    it(`shows ${name} as other decoders do`, async () => {
      const header = await readImageHeader(imageFixture(name), 1_000_000);
      const image = await imageOf(imageFixture(name));
      expect([header.width, header.height, image.width, image.height]).to.deep.equal([width, height, width, height]);
      const [x, y] = [Math.floor(width / 4), Math.floor(height / 4)];
      const corners = [
        [x, y],
        [Math.floor((width * 3) / 4), y],
        [Math.floor(width / 2), Math.floor((height * 3) / 4)],
      ] as const;
      corners.forEach(([left, top], index) => {
        pixelAt(image, left, top).forEach((value, channel) => {
          // Chroma is enlarged by other methods; a wrong turn or a wrong colour is far further away.
          expect(value, `${left},${top} channel ${channel}`).to.be.closeTo(pixels[index]?.[channel] ?? Number.NaN, 12);
        });
      });
      meanOf(image).forEach((value, channel) => {
        expect(value, `mean of channel ${channel}`).to.be.closeTo(mean[channel] ?? Number.NaN, 0.7);
      });
    });
  }

  it('smooths the edges of the blocks of a HEIC file as HEVC says', async () => {
    // By pillow-heif 1.8: [229, 212, 184] without the filters.
    expect(pixelAt(await imageOf(imageFixture('high_compression.heic')), 8, 32)).to.deep.equal([189, 172, 144]);
  });

  it('reads a HEIC photograph of more tiles than libvips does', async () => {
    // 272 tiles; the left half is red, turned to the top.
    const image = await imageOf(imageFixture('many_tiles.heic'));
    expect([image.width, image.height]).to.deep.equal([512, 544]);
    expect(pixelAt(image, 500, 20)[0]).to.be.closeTo(200, 3);
    expect(pixelAt(image, 20, 520)[2]).to.be.closeTo(200, 3);
    expect((await imageErrorOf(imageFixture('many_tiles.heic'), 200_000)).message).to.match(/HEIC of 512 x 544/);
  });

  it('reads an AVIF or a HEIC whose first brand names no codec, or is one that libvips does not know', async () => {
    for (const [name, brands] of [
      ['premultiplied.avif', ['mif1', 'miaf']],
      ['turned_alpha.avif', ['mif1', 'miaf']],
      ['iphone_like.heic', ['mif1', 'mif2', 'hevx', 'msf1']],
    ] as const) {
      const expected = await imageOf(imageFixture(name));
      for (const brand of brands) {
        const file = Buffer.from(imageFixture(name));
        file.write(brand, 8, 'latin1');
        expect(await imageOf(file), `${name} of ${brand}`).to.deep.equal(expected);
      }
    }
  });

  it('turns the transparency of an AVIF with its colours, whatever its file says of it', async () => {
    // By avifenc 0.11: its right half is transparent, turned to the top.
    const image = await imageOf(imageFixture('turned_alpha.avif'));
    expect([image.width, image.height]).to.deep.equal([21, 33]);
    for (const x of [2, 18]) {
      expect(pixelAt(image, x, 5), `${x},5`).to.deep.equal([255, 255, 255]);
      pixelAt(image, x, 28).forEach((value, channel) => {
        expect(value, `${x},28 channel ${channel}`).to.be.closeTo(channel === 0 ? 255 : 0, 6);
      });
    }
  });

  it('crops the transparency of an AVIF with its colours', async () => {
    // By avifenc 0.11: of 80 x 48 pixels, those from 60 on are transparent; 62 x 36 from 8, 6 are shown, turned by a quarter.
    const image = await imageOf(imageFixture('cropped_alpha.avif'));
    expect([image.width, image.height]).to.deep.equal([36, 62]);
    const column = (x: number) => pixelAt(image, 2, image.height - 1 - (x - 8));
    expect(column(61)).to.deep.equal([255, 255, 255]);
    column(58).forEach((value, channel) => {
      expect(value, `channel ${channel}`).to.be.closeTo([0, 128, 255][channel] ?? 0, 6);
    });
  });

  it('shows the black and white of a grey AVIF whose levels are those of video', async () => {
    // By avifenc 0.11 (--yuv 400 --range limited): three bars of 0, 128 and 255.
    const image = await imageOf(imageFixture('grey_limited.avif'));
    const bars = [8, 24, 40].map((x) => pixelAt(image, x, 8));
    expect(bars).to.deep.equal([0, 128, 255].map((level) => [level, level, level]));
  });

  it('maps floats from 0 to 1 to black to white', async () => {
    const image = await imageOf(imageFixture('float_grey_0_1.tif'));
    expect(pixelAt(image, 0, 0)).to.deep.equal([78, 78, 78]);
    expect(meanOf(image)[0]).to.be.closeTo(88.7, 0.1);
  });

  it('reads a JPEG XL image whose codestream is divided at any position', async () => {
    const whole = imageFixture('x.jxl');
    const box = (type: string, ...parts: readonly Uint8Array[]): Buffer => {
      const content = Buffer.concat([Buffer.from(type, 'latin1'), ...parts]);
      const size = Buffer.alloc(4);
      size.writeUInt32BE(4 + content.length);
      return Buffer.concat([size, content]);
    };
    const start = Buffer.concat([
      box('JXL ', Buffer.from('\r\n\u0087\n', 'latin1')),
      box('ftyp', Buffer.from('jxl \0\0\0\0jxl ', 'latin1')),
    ]);
    const expected = await imageOf(whole);
    for (const cut of [1, 2, 40]) {
      const first = box('jxlp', Uint8Array.of(0, 0, 0, 0), whole.subarray(0, cut));
      const last = box('jxlp', Uint8Array.of(0x80, 0, 0, 1), whole.subarray(cut));
      expect(await imageOf(Buffer.concat([start, first, last])), String(cut)).to.deep.equal(expected);
    }
  });

  it('leaves the canvas around the first frame of a GIF white', async () => {
    const image = await imageOf(imageFixture('gif_first_frame_offset.gif'));
    expect([image.width, image.height]).to.deep.equal([96, 72]);
    expect(pixelAt(image, 0, 0)).to.deep.equal([255, 255, 255]);
    expect(pixelAt(image, 24, 18)).to.deep.equal([173, 117, 49]);
  });

  it('refuses a camera raw file instead of showing its thumbnail', async () => {
    const error = await imageErrorOf(imageFixture('raw_like_dng.tif'));
    expect(error.code).to.equal('IMAGE_UNREADABLE');
    expect(error.message).to.match(/camera raw file \(DNG or the like\).*send a JPEG/);
  });

  it('checks the size of every format before a pixel is decoded', async () => {
    for (const name of [
      'iphone_like.heic',
      'grid_turned.heic',
      'x.jxl',
      'turned.jxl',
      'x.bmp',
      'animated.avif',
      'rgb_uint32.tif',
    ]) {
      const error = await imageErrorOf(imageFixture(name), 3_999);
      expect(error.code, name).to.equal('IMAGE_TOO_LARGE');
      expect(error.message, name).to.match(/at most 3,999 pixels, got (HEIC|JPEG XL|BMP|AVIF|TIFF) of \d+ x \d+/);
    }
    // Its tiles make up a hundredth of what its header says.
    expect((await imageErrorOf(imageFixture('grid_of_another_size.heic'))).code).to.equal('IMAGE_TOO_LARGE');
    expect((await imageErrorOf(imageFixture('grid_of_another_size.heic'), 80_000_000)).code).to.equal(
      'IMAGE_UNREADABLE',
    );
  });

  it('reads no JPEG XL image that its decoder has not the memory for', async () => {
    // 8,192 x 8,192: the ratio of sides is 1, the height of 13 bits.
    const error = await imageErrorOf(Buffer.from([0xff, 0x0a, 0xfa, 0xff, 0x09, 0, 0, 0]), 100_000_000);
    expect(error.code).to.equal('IMAGE_TOO_LARGE');
    expect(error.message).to.contain('at most 50,000,000 pixels, got JPEG XL of 8192 x 8192');
  });

  it('decodes many at a time on its threads', async () => {
    const names = ['iphone_like.heic', 'x.jxl', 'x.bmp', 'ten_bits.heic', 'alpha.jxl', 'x.bmp'];
    const means = await Promise.all(names.map(async (name) => meanOf(await imageOf(imageFixture(name)))[0]));
    means.forEach((mean, index) => {
      const expected = EXPECTED.find(({ name }) => name === names[index])?.mean[0] ?? Number.NaN;
      expect(mean, names[index]).to.be.closeTo(expected, 0.7);
    });
  });
});
