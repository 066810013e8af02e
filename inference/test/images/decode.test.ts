import { setImmediate } from 'node:timers/promises';
import { deflateSync } from 'node:zlib';
import { expect } from 'chai';
import sharp, { type Sharp } from 'sharp';
import { InferenceError } from '../../src/errors.js';
import { DamagedImage } from '../../src/media/images/errors.js';
import {
  configureImageDecoding,
  decodeImage,
  decodePixels,
  IMAGE_FORMATS,
  type Image,
  readImageHeader,
} from '../../src/media/images/index.js';
import { Random } from '../support/random.js';

const LIMIT = { maxPixels: 1_000_000 };

/** A PNG of 2 x 2 pixels of 16-bit grey, one fifth of the light, with an ICC profile of linear light. */
const LINEAR_GREY = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAIAAAACEAAAAAAHTY67AAAAcmlDQ1BwAAB42mNgYNTJSc4tZhJgYMjNKylyD3KMjIiMUmB/wsAI' +
    'hGCQmFxcwIAXfLsKUXtZh4F0wJySWpwMpFcAcUJ5SUEJAwMjB5Atkh0S5AxkywDZAlA1IMCWnpibm8hAXQDyM7pfkkuLyqDSjCAh' +
    'AOoNGuST/HFyAAAADklEQVR42mMwBgIGEAEACAIBma361xsAAAAASUVORK5CYII=',
  'base64',
);

/** A PNG of 2 x 2 pixels of 16-bit grey as red, green and blue, 0.006 of the light, with an ICC profile of linear light. */
const LINEAR_COLOUR = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAIAAAACEAIAAACtREYwAAAAzWlDQ1BhAAB4nJ2QvQ4BQRRGzxCFREKhUCq0eqVQ6EWxRGPXhsLPZnf8FNrtSbyA8Ax4BD0RhQdQqtQyVjIKQZxm' +
    'zny5uffmgrgAhPLQ7Um3XCqkjWotzQsNy3P4yO2IUO8++7nuLdGm7VnAFehYjitB1IHYSDrK20DSNao1EBPlrcCnys3AV4+aSrkIYgskWoHvlJuBn5Q/Zyki0vbkH/v+jLTHj/5j' +
    'QN9U30pn/SXkbhCe6cycw8aH1FlnmQXEfVgfrIE7fI4Rqt23/x2mmDkCpbJg7gAAABFJREFUeAFjYOxEQAYEk7ETAFECBnmu48kBAAAAAElFTkSuQmCC',
  'base64',
);

/** Left half red, right half blue. */
function halves(width = 40, height = 20): Sharp {
  const data = new Uint8Array(width * height * 3);
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    data[pixel * 3 + (pixel % width < width / 2 ? 0 : 2)] = 255;
  }
  return sharp(data, { raw: { width, height, channels: 3 } });
}

function pixel(image: Image, x: number, y: number): number[] {
  const at = (y * image.width + x) * 3;
  return [...image.data.subarray(at, at + 3)];
}

async function errorOf(content: Uint8Array, maxPixels = LIMIT.maxPixels): Promise<InferenceError> {
  try {
    await decodeImage(content, { maxPixels });
  } catch (error) {
    if (error instanceof InferenceError) return error;
    throw error;
  }
  throw new Error('expected an InferenceError');
}

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** A PNG of a few hundred bytes that unpacks to `width` x `height` grey pixels; only its first rows are really there. */
function bomb(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 8;
  const rows = deflateSync(Buffer.alloc((width + 1) * 10));
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('IDAT', rows),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

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
      expect(pixel(image, 3, 10)[0], format).to.be.above(245);
      expect(pixel(image, 36, 10)[2], format).to.be.above(245);
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
    expect(pixel(image, 10, 3)[0]).to.be.above(245);
    expect(pixel(image, 10, 36)[2]).to.be.above(245);
  });

  it('puts transparent parts on white', async () => {
    const data = new Uint8Array([0, 0, 0, 0, 255, 0, 0, 255, 0, 0, 0, 128, 9, 9, 9, 0]);
    const file = await sharp(data, { raw: { width: 2, height: 2, channels: 4 } })
      .png()
      .toBuffer();
    const { image } = await decodeImage(file, LIMIT);
    expect(pixel(image, 0, 0)).to.deep.equal([255, 255, 255]);
    expect(pixel(image, 1, 0)).to.deep.equal([255, 0, 0]);
    expect(pixel(image, 0, 1)[0]).to.be.within(126, 128);
    expect(pixel(image, 1, 1)).to.deep.equal([255, 255, 255]);
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
    expect(pixel((await decodeImage(deep, LIMIT)).image, 3, 3)).to.deep.equal([255, 0, 0]);
    const [red, green, blue] = pixel((await decodeImage(inks, LIMIT)).image, 3, 3);
    expect(red).to.be.above(180);
    expect(green).to.be.below(80);
    expect(blue).to.be.below(80);
    const shades = pixel((await decodeImage(deepGrey, LIMIT)).image, 3, 3);
    expect(new Set(shades).size).to.equal(1);
    expect(shades[0]).to.be.within(20, 140);
  });

  it('converts a wide colour space to sRGB by the ICC profile inside', async () => {
    const green = sharp({ create: { width: 8, height: 8, channels: 3, background: '#00ff00' } });
    const wide = green.withIccProfile('p3');
    const deep = wide.clone().toColourspace('rgb16');
    const files = [wide.clone().png(), deep.clone().png(), deep.clone().ensureAlpha().png(), deep.clone().tiff()];
    for (const [index, file] of files.entries()) {
      const content = await file.toBuffer();
      const stored = await sharp(content, { ignoreIcc: true }).raw().toBuffer();
      expect(stored[0], 'the file itself holds other numbers').to.be.above(20);
      const { image } = await decodeImage(content, LIMIT);
      const [red, value, blue] = pixel(image, 4, 4);
      expect(red, `file ${index}`).to.be.below(20);
      expect(value, `file ${index}`).to.be.above(250);
      expect(blue, `file ${index}`).to.be.below(20);
    }
  });

  it('applies the ICC profile of a grey image of 16 bits', async () => {
    expect(pixel((await decodeImage(LINEAR_GREY, LIMIT)).image, 0, 0)[0]).to.be.within(123, 124);
  });

  it('applies the ICC profile of 16 bits a colour to all of them: the darkest of linear light would be lost with the lower eight', async () => {
    for (const value of pixel((await decodeImage(LINEAR_COLOUR, LIMIT)).image, 0, 0))
      expect(value).to.be.within(17, 18);
  });

  it('leaves 16-bit colours as they are if their ICC profile is broken', async () => {
    const blue = sharp({ create: { width: 8, height: 8, channels: 3, background: '#306090' } }).toColourspace('rgb16');
    const file = await blue.withIccProfile('p3').tiff({ compression: 'none' }).toBuffer();
    const stored = await sharp(file, { ignoreIcc: true }).toColourspace('srgb').raw().toBuffer();
    const profile = file.indexOf('acsp') - 36;
    for (const at of [profile + 16, profile + 36]) {
      const broken = Buffer.from(file).fill(0, at, at + 4);
      expect(Buffer.from((await decodeImage(broken, LIMIT)).image.data)).to.deep.equal(stored);
    }
    const converted = pixel((await decodeImage(file, LIMIT)).image, 0, 0);
    for (const [at, value] of [0x30, 0x60, 0x90].entries()) expect(converted[at]).to.be.closeTo(value, 1);
  });

  it("converts simple profiles to the decoder's own colours, but faster, and leaves others to it", async () => {
    const random = new Random(3);
    const raw = { width: 24, height: 24, channels: 3 } as const;
    const blotches = sharp(random.bytes(24 * 24 * 3), { raw }).resize(200, 150, { fit: 'fill' });
    for (const format of ['png', 'jpeg'] as const) {
      const wide = await blotches.clone().withIccProfile('p3').toFormat(format, { quality: 95 }).toBuffer();
      const expected = await sharp(wide).toColourspace('srgb').raw().toBuffer();
      const { image, header } = await decodeImage(wide, LIMIT);
      expect(header.toSrgb, format).to.not.equal(undefined);
      const far = Array.from(expected, (byte, at) => Math.abs(byte - (image.data[at] ?? 0)));
      // libvips goes by way of numbers of its own: colours that sRGB has not are cut off a little otherwise.
      expect(far.reduce((sum, one) => sum + one, 0) / far.length, format).to.be.below(0.5);
      expect(Math.max(...far), format).to.be.at.most(4);
    }
    const print = await blotches.clone().toColourspace('cmyk').withIccProfile('cmyk').jpeg().toBuffer();
    expect((await decodeImage(print, LIMIT)).header).to.deep.include({
      colours: { ignoreIcc: false },
      toSrgb: undefined,
    });
  });

  it('does not convert colours if the ICC profile is named sRGB', async () => {
    const plain = await halves().png().toBuffer();
    const named = await halves().withIccProfile('srgb').png().toBuffer();
    const wide = await halves().withIccProfile('p3').png().toBuffer();
    expect((await decodeImage(named, LIMIT)).header.colours).to.deep.equal({ ignoreIcc: true });
    expect((await decodeImage(wide, LIMIT)).header.toSrgb).to.not.equal(undefined);
    expect((await decodeImage(named, LIMIT)).image).to.deep.equal((await decodeImage(plain, LIMIT)).image);
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
    expect(pixel(image, 5, 5)).to.deep.equal([255, 0, 0]);
  });

  it('describes content that is not an image', async () => {
    const cases: readonly [Uint8Array, RegExp][] = [
      [new Uint8Array(), /no bytes at all/],
      [Buffer.from('Hello, world'), /12 bytes of text beginning "Hello, world"/],
      [Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), /an SVG drawing/],
      [Buffer.from('%PDF-1.7\n'), /a PDF/],
      [Buffer.from([1, 2, 3, 200]), /4 bytes beginning 010203c8 in hex/],
      [Buffer.from('RIFF\0\0\0\0WAVEfmt '), /a WAV audio/],
      [Buffer.from([0xff]), /1 byte beginning ff/],
    ];
    for (const [content, message] of cases) {
      const error = await errorOf(content);
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
        const error = await errorOf(file.subarray(0, Math.floor(file.length * share)));
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
      const decoded = Array.from({ length: 4 }, () => decodePixels(content, { ...header, width, height, load }));
      for (const { status } of await Promise.allSettled(decoded)) expect(status).to.equal('rejected');
      return highest;
    };
    expect(await most(5_001, 5_000)).to.equal(1);
    expect(await most(5_000, 5_000)).to.equal(4);
  });

  it('refuses an image above the limit by its header alone', async () => {
    const error = await errorOf(bomb(30_000, 30_000), 50_000_000);
    expect(error.code).to.equal('IMAGE_TOO_LARGE');
    expect(error.message).to.contain('at most 50,000,000 pixels').and.to.contain('30000 x 30000 (900,000,000 pixels)');
    expect((await errorOf(await halves().png().toBuffer(), 799)).code).to.equal('IMAGE_TOO_LARGE');
    expect((await decodeImage(await halves().png().toBuffer(), { maxPixels: 800 })).image.width).to.equal(40);
  });

  it('refuses an image of one pixel', async () => {
    const error = await errorOf(
      await sharp({ create: { width: 1, height: 1, channels: 3, background: '#fff' } })
        .png()
        .toBuffer(),
    );
    expect(error.code).to.equal('IMAGE_UNREADABLE');
    expect(error.message).to.contain('at least 2 x 2 pixels, got PNG of 1 x 1');
  });
});
