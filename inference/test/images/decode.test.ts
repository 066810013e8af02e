import { setImmediate } from 'node:timers/promises';
import { expect } from 'chai';
import sharp, { type Sharp } from 'sharp';
import { InferenceError } from '../../src/errors.js';
import { DamagedImage } from '../../src/media/images/errors.js';
import {
  configureImageDecoding,
  decodeImage,
  decodePixels,
  IMAGE_FORMATS,
  readImageHeader,
} from '../../src/media/images/index.js';
import { halves, imageErrorOf, pixelAt } from '../support/image-files.js';
import { pngBomb } from '../support/png-file.js';
import { Random } from '../support/random.js';

const LIMIT = { maxPixels: 1_000_000 };

describe('decoding images', () => {
  before(() => configureImageDecoding());

  it('reads every format it names', async () => {
    const files = {
      JPEG: halves().jpeg({ quality: 100, chromaSubsampling: '4:4:4' }),
      PNG: halves().png(),
      WebP: halves().webp({ lossless: true }),
      GIF: halves().gif(),
      AVIF: halves().avif({ quality: 100, chromaSubsampling: '4:4:4' }),
      TIFF: halves().tiff(),
    };
    // kinds.test.ts has the others, which sharp does not write.
    const others = ['HEIC', 'BMP', 'JXL'];
    expect([...Object.keys(files), ...others]).to.have.members([...IMAGE_FORMATS]);
    for (const [format, file] of Object.entries(files)) {
      const { header, image } = await decodeImage(await file.toBuffer(), LIMIT);
      expect(header, format).to.deep.include({ format, width: 40, height: 20 });
      expect(image.data.length, format).to.equal(40 * 20 * 3);
      expect(pixelAt(image, 3, 10)[0], format).to.be.above(245);
      expect(pixelAt(image, 36, 10)[2], format).to.be.above(245);
    }
  });

  it('refuses damaged images of every format in its own words, and keeps those of its libraries for the log', async () => {
    const random = new Random(3);
    const files = [
      halves().jpeg().withIccProfile('p3'),
      halves().png().withIccProfile('p3'),
      halves().webp(),
      halves().gif(),
      halves().avif(),
      halves().tiff(),
    ];
    let refused = 0;
    for (const file of files) {
      const whole = await file.toBuffer();
      for (let turn = 0; turn < 12; turn += 1) {
        const broken = Uint8Array.from(
          turn % 3 === 0 ? whole.subarray(0, 40 + random.below(whole.length - 40)) : whole,
        );
        for (let change = 0; change < turn; change += 1)
          broken[16 + random.below(broken.length - 16)] = random.below(256);
        const error = await decodeImage(broken, LIMIT).then(
          () => undefined,
          (reason: unknown) => reason,
        );
        if (error === undefined) continue;
        refused += 1;
        expect(error).to.be.instanceOf(InferenceError);
        const { code, message, cause } = error as InferenceError;
        expect(code).to.be.oneOf(['IMAGE_UNREADABLE', 'IMAGE_TOO_LARGE']);
        expect(message)
          .to.match(/^Expected a /)
          .and.not.match(/vips|undefined|bounds|heap|\w+Error\b|load_buffer|\n/i);
        // What our own reader found is said in its words, which are ours.
        if (cause instanceof Error && !(cause instanceof DamagedImage))
          expect(message).to.not.include(cause.message.slice(0, 20));
      }
    }
    expect(refused).to.be.greaterThan(10);
  });

  it('applies the EXIF orientation', async () => {
    // 6: the camera was held upright, so the image is turned a quarter to the right to be shown.
    const turned = await halves()
      .jpeg({ quality: 100, chromaSubsampling: '4:4:4' })
      .withMetadata({ orientation: 6 })
      .toBuffer();
    const { header, image } = await decodeImage(turned, LIMIT);
    expect([header.width, header.height, image.width, image.height]).to.deep.equal([20, 40, 20, 40]);
    expect(pixelAt(image, 10, 3)[0]).to.be.above(245);
    expect(pixelAt(image, 10, 36)[2]).to.be.above(245);
  });

  it('puts transparent parts on white', async () => {
    const data = new Uint8Array([0, 0, 0, 0, 255, 0, 0, 255, 0, 0, 0, 128, 9, 9, 9, 0]);
    const file = await sharp(data, { raw: { width: 2, height: 2, channels: 4 } })
      .png()
      .toBuffer();
    const { image } = await decodeImage(file, LIMIT);
    expect(pixelAt(image, 0, 0)).to.deep.equal([255, 255, 255]);
    expect(pixelAt(image, 1, 0)).to.deep.equal([255, 0, 0]);
    expect(pixelAt(image, 0, 1)[0]).to.be.within(126, 128);
    expect(pixelAt(image, 1, 1)).to.deep.equal([255, 255, 255]);
  });

  it('converts grey, 16 bit and CMYK images to 8 bits of red, green and blue', async () => {
    const grey = await halves().greyscale().png().toBuffer();
    const deep = await halves().toColourspace('rgb16').png().toBuffer();
    const deepGrey = await halves().toColourspace('grey16').png().toBuffer();
    const inks = await halves().toColourspace('cmyk').tiff().toBuffer();
    for (const file of [grey, deep, deepGrey, inks]) {
      const { image } = await decodeImage(file, LIMIT);
      expect(image.data.length).to.equal(40 * 20 * 3);
    }
    expect(pixelAt((await decodeImage(deep, LIMIT)).image, 3, 3)).to.deep.equal([255, 0, 0]);
    const [red, green, blue] = pixelAt((await decodeImage(inks, LIMIT)).image, 3, 3);
    expect(red).to.be.above(180);
    expect(green).to.be.below(80);
    expect(blue).to.be.below(80);
    const shades = pixelAt((await decodeImage(deepGrey, LIMIT)).image, 3, 3);
    expect(new Set(shades).size).to.equal(1);
    expect(shades[0]).to.be.within(20, 140);
  });

  it('reduces an image for a much smaller model where that takes less time than to resize all of its pixels', async () => {
    const sizeOf = async (file: Sharp): Promise<readonly number[]> => {
      const options = { maxPixels: 2_000_000, target: { width: 40, height: 40 } };
      const { image } = await decodeImage(await file.toBuffer(), options);
      return [image.width, image.height];
    };
    expect(await sizeOf(halves(300, 200).png())).to.deep.equal([300, 200]);
    expect(await sizeOf(halves(310, 210).jpeg())).to.deep.equal([310, 210]);
    // Fewer pixels to decode, to convert, or to resize.
    expect(await sizeOf(halves(400, 330).jpeg())).to.deep.equal([80, 80]);
    expect(await sizeOf(halves(300, 200).withIccProfile('p3').png())).to.deep.equal([80, 80]);
    expect(await sizeOf(halves(1200, 900).png())).to.deep.equal([80, 80]);
  });

  it('sees the transparency of a WebP without loss whose metadata were added by a program that does not tell of it', async () => {
    const clear = sharp({ create: { width: 8, height: 8, channels: 4, background: { r: 200, g: 0, b: 0, alpha: 0 } } });
    const file = await clear
      .webp({ lossless: true, exact: true })
      .withExif({ IFD0: { Artist: 'x' } })
      .toBuffer();
    expect(file.toString('latin1', 12, 16)).to.equal('VP8X');
    file[20] = (file[20] ?? 0) & ~0x10;
    expect(pixelAt((await decodeImage(file, LIMIT)).image, 3, 3)).to.deep.equal([255, 255, 255]);
  });

  it('reads the first frame of an animation', async () => {
    const red = Buffer.alloc(10 * 10 * 3);
    for (let at = 0; at < red.length; at += 3) red[at] = 255;
    const frames = Buffer.concat([red, Buffer.alloc(10 * 10 * 3, 200)]);
    const file = await sharp(frames, { raw: { width: 10, height: 20, channels: 3, pageHeight: 10 } })
      .gif()
      .toBuffer();
    expect((await sharp(file).metadata()).pages).to.equal(2);
    const { image } = await decodeImage(file, LIMIT);
    expect([image.width, image.height]).to.deep.equal([10, 10]);
    expect(pixelAt(image, 5, 5)).to.deep.equal([255, 0, 0]);
  });

  it('describes content that is not an image', async () => {
    const cases: [Uint8Array, RegExp][] = [
      [new Uint8Array(), /no bytes at all/],
      [Buffer.from('Hello, world'), /12 bytes of text beginning "Hello, world"/],
      [Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), /an SVG drawing/],
      [Buffer.from('%PDF-1.7\n'), /a PDF/],
      [Buffer.from('data:image/png;base64,iVBORw0KGgo='), /34 bytes of text in base64: send the bytes/],
      [Buffer.from([1, 2, 3, 200]), /4 bytes beginning 010203c8 in hex/],
      [Buffer.from('RIFF\0\0\0\0WAVEfmt '), /a WAV audio/],
      [Buffer.from([0xff]), /1 byte beginning ff/],
    ];
    const dots = sharp(Buffer.alloc(12), { raw: { width: 2, height: 2, channels: 3 } });
    for (const format of ['jpeg', 'png', 'webp', 'gif'] as const) {
      const encoded = (await dots.clone().toFormat(format).toBuffer()).toString('base64');
      cases.push([Buffer.from(encoded), /bytes of text in base64: send the bytes/]);
    }
    for (const [content, message] of cases) {
      const error = await imageErrorOf(content);
      expect(error.code).to.equal('IMAGE_UNREADABLE');
      expect(error.message).to.match(message).and.to.contain('JPEG, PNG, WebP, GIF, AVIF, HEIC, TIFF, BMP, JPEG XL');
    }
  });

  it('calls a file that ends too early, or is damaged, unreadable', async () => {
    const noise = Buffer.alloc(64 * 64 * 3);
    for (let at = 0; at < noise.length; at += 1) noise[at] = (at * 7919) % 251;
    const image = sharp(noise, { raw: { width: 64, height: 64, channels: 3 } });
    const whole = [
      await image.clone().jpeg().toBuffer(),
      await image.clone().jpeg({ progressive: true }).toBuffer(),
      await image.clone().png().toBuffer(),
      await image.clone().webp().toBuffer(),
      await image.clone().gif().toBuffer(),
      await image.clone().avif().toBuffer(),
      await image.clone().tiff().toBuffer(),
    ];
    for (const file of whole) {
      for (const share of [0.1, 0.5, 0.9]) {
        const error = await imageErrorOf(file.subarray(0, Math.floor(file.length * share)));
        expect(error.code, `${file.subarray(0, 12).toString('latin1')} at ${share}`).to.equal('IMAGE_UNREADABLE');
      }
    }
  });

  it('decodes images of more than 25 million pixels one at a time, and others together, also after a broken one', async () => {
    const content = await halves().png().toBuffer();
    const most = async (width: number, height: number): Promise<number> => {
      let [open, highest] = [0, 0];
      const header = await readImageHeader(content, LIMIT.maxPixels);
      const load = async (): Promise<never> => {
        open += 1;
        highest = Math.max(highest, open);
        await setImmediate();
        open -= 1;
        throw new DamagedImage('of this test');
      };
      // One that is turned is decoded by `load` alone.
      const turned = { ...header, width, height, orientation: 3, load };
      const decoded = Array.from({ length: 4 }, () => decodePixels(content, turned));
      for (const { status } of await Promise.allSettled(decoded)) expect(status).to.equal('rejected');
      return highest;
    };
    expect(await most(5_001, 5_000)).to.equal(1);
    expect(await most(5_000, 5_000)).to.equal(4);
  });

  it('refuses an image above the limit by its header alone', async () => {
    const error = await imageErrorOf(pngBomb(30_000, 30_000, 300_010), 50_000_000);
    expect(error.code).to.equal('IMAGE_TOO_LARGE');
    expect(error.message).to.contain('at most 50,000,000 pixels').and.to.contain('30000 x 30000 (900,000,000 pixels)');
    expect((await imageErrorOf(await halves().png().toBuffer(), 799)).code).to.equal('IMAGE_TOO_LARGE');
    expect((await decodeImage(await halves().png().toBuffer(), { maxPixels: 800 })).image.width).to.equal(40);
  });

  it('refuses an image of one pixel', async () => {
    const error = await imageErrorOf(
      await sharp({ create: { width: 1, height: 1, channels: 3, background: '#fff' } })
        .png()
        .toBuffer(),
    );
    expect(error.code).to.equal('IMAGE_UNREADABLE');
    expect(error.message).to.contain('at least 2 x 2 pixels, got PNG of 1 x 1');
  });
});
