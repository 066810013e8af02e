import { expect } from 'chai';
import sharp from 'sharp';
import { InferenceError } from '../../src/errors.js';
import { withoutExif } from '../../src/media/images/exif.js';
import { checkItems, checkParts } from '../../src/media/images/heif-limits.js';
import { configureImageDecoding, decodeImage, decodePixels, readImageHeader } from '../../src/media/images/index.js';
import { barePng, pngChunk, readablePng } from '../../src/media/images/png-chunks.js';
import { limitWasmMemory } from '../../src/media/images/thread/wasm-memory.js';
import { withFirstFrame } from '../../src/media/images/webp-frames.js';
import { halves, imageErrorOf, imageFixture, imageOf } from '../support/image-files.js';
import { Random } from '../support/random.js';

const FILES = [
  'iphone_like.heic',
  'grid_turned.heic',
  'x.jxl',
  'x.bmp',
  'animated.avif',
  'rgb_two_extra_channels.tif',
  'rgb_uint32.tif',
];
/** Words of the libraries inside. */
const INTERNAL =
  /vips|libheif|libde265|jxl_oxide|wasm|rust|sharp|null|undefined|unreachable|tiff2|buffer|RuntimeError|\bat \//i;

/** A box of an ISO base media file. */
function box(type: string, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([number(4, 8 + content.length), Buffer.from(type), content]);
}

function number(bytes: number, value: number): Buffer {
  return Buffer.from(value.toString(16).padStart(bytes * 2, '0'), 'hex');
}

describe('damaged images', () => {
  before(() => configureImageDecoding());

  for (const name of FILES) {
    it(`refuses a ${name} that was cut off, by its format`, async () => {
      const whole = imageFixture(name);
      // The first frame of the animation ends at two thirds of the file.
      const shares = name === 'animated.avif' ? [0.01, 0.05, 0.3, 0.6] : [0.01, 0.05, 0.3, 0.6, 0.95];
      for (const share of shares) {
        const error = await imageErrorOf(whole.subarray(0, Math.floor(whole.length * share)));
        expect(error.code, String(share)).to.equal('IMAGE_UNREADABLE');
        expect(error.message, String(share)).to.not.match(INTERNAL);
        if (share > 0.01) expect(error.message, String(share)).to.match(/(HEIC|JPEG XL|BMP|AVIF|TIFF)/);
      }
    });

    it(`decodes or rejects a ${name} with flipped bits, and continues`, async () => {
      const random = new Random(name.length);
      for (let round = 0; round < 12; round += 1) {
        const content = imageFixture(name);
        for (let flip = 0; flip < 1 + (round % 3) * 4; flip += 1) {
          const at = random.below(round % 2 === 0 ? content.length : Math.min(content.length, 400));
          content[at] = (content[at] ?? 0) ^ (1 << random.below(8));
        }
        try {
          const { header, image } = await decodeImage(content, { maxPixels: 1_000_000 });
          expect(image.data.length).to.equal(image.width * image.height * 3);
          expect([image.width, image.height]).to.deep.equal([header.width, header.height]);
        } catch (error) {
          if (!(error instanceof InferenceError)) throw error;
          expect(error.code).to.be.oneOf(['IMAGE_UNREADABLE', 'IMAGE_TOO_LARGE']);
          expect(error.message).to.not.match(INTERNAL);
        }
      }
      expect((await imageOf(imageFixture(name))).data.length, 'the next image').to.be.above(0);
    });
  }

  it('limits the time of every decoding by libvips, also of those before the last', async () => {
    const { prototype } = sharp as unknown as { readonly prototype: { toBuffer(...output: unknown[]): unknown } };
    const { toBuffer } = prototype;
    const limits: unknown[] = [];
    prototype.toBuffer = function (this: { readonly options: { readonly timeoutSeconds: number } }, ...output) {
      limits.push(this.options.timeoutSeconds);
      return toBuffer.apply(this, output);
    };
    try {
      const cut = imageFixture('missing_eoi.jpg').subarray(0, -4);
      const names = ['gif_first_frame_offset.gif', 'premultiplied.avif', 'rgb_uint32.tif', 'float_grey_0_1.tif'];
      for (const content of [cut, ...names.map(imageFixture)]) await imageOf(content);
    } finally {
      prototype.toBuffer = toBuffer;
    }
    expect(limits).to.deep.equal(Array(limits.length).fill(30)).and.to.have.length.of.at.least(11);
  });

  it('does not take what libvips says of another image, whose messages it shares, for its own', async () => {
    const header = await readImageHeader(imageFixture('x.bmp'), 1_000_000);
    for (const said of ['timeout: 3% complete', 'VipsJpeg: premature end of JPEG image']) {
      const fails = Object.assign(
        Object.create(sharp(Buffer.alloc(12), { raw: { width: 2, height: 2, channels: 3 } })),
        {
          clone: () => fails,
          flatten: () => fails,
          toColourspace: () => fails,
          raw: () => fails,
          timeout: () => fails,
          toBuffer: () => Promise.reject(new Error(said)),
        },
      );
      const error = await decodePixels(imageFixture('x.bmp'), { ...header, load: async () => fails }).catch(
        (lost) => lost,
      );
      expect(error.message, said).to.contain('the file may be cut off or damaged');
    }
  });

  it('refuses EXIF data whose directories refer to each other again and again, which libexif reads for minutes', async () => {
    const plain = await sharp({ create: { width: 16, height: 16, channels: 3, background: '#456' } })
      .jpeg()
      .toBuffer();
    /** With `count` references to its own directory. */
    const withExif = (little: boolean, count: number): Buffer => {
      const exif = Buffer.alloc(4 + 6 + 8 + 2 + count * 12 + 4);
      const view = new DataView(exif.buffer, exif.byteOffset);
      exif.write(`\u00ff\u00e1\0\0Exif\0\0${little ? 'II*\0' : 'MM\0*'}`, 'latin1');
      view.setUint16(2, exif.length - 2);
      view.setUint32(14, 8, little);
      view.setUint16(18, count, little);
      for (let entry = 20; entry < 20 + count * 12; entry += 12) {
        view.setUint16(entry, 0x8769, little);
        view.setUint16(entry + 2, 4, little);
        view.setUint32(entry + 4, 1, little);
        view.setUint32(entry + 8, 8, little);
      }
      return Buffer.concat([plain.subarray(0, 2), exif, plain.subarray(2)]);
    };
    for (const little of [true, false]) {
      expect((await imageErrorOf(withExif(little, 300))).message).to.contain('EXIF data refers to more directories');
      expect((await imageOf(withExif(little, 1))).width).to.equal(16);
    }
    const hostile = withExif(true, 300);
    // Neither a marker without a length nor what a segment holds ends the search.
    const stray = Buffer.from([0xff, 0x01, 0, 6, 0xff, 0xfe, 0, 10, 0xff, 0xda, 0, 0, 0, 0, 0, 0]);
    const hidden = Buffer.concat([hostile.subarray(0, 2), stray, hostile.subarray(2)]);
    expect((await imageErrorOf(hidden)).message).to.contain('EXIF data refers to more directories');
    // A burst: behind the pixels whole images follow.
    const burst = Buffer.concat(Array.from({ length: 40 }, () => withExif(true, 1)));
    expect(await imageOf(burst)).to.deep.equal(await imageOf(plain));
  });

  it('hides the EXIF data of AVIF and HEIC from libvips', async () => {
    const plain = sharp({ create: { width: 16, height: 16, channels: 3, background: '#456' } });
    const file = await plain
      .clone()
      .withExif({ IFD0: { Copyright: 'x' } })
      .avif()
      .toBuffer();
    expect((await sharp(file).metadata()).exif).to.not.equal(undefined);
    const hidden = Buffer.from(withoutExif(file));
    expect((await sharp(hidden).metadata()).exif).to.equal(undefined);
    const start = file.readUInt32BE(0);
    const empty = Buffer.from([0, 0, 0, 12, ...Buffer.from('meta'), 0, 0, 0, 0]);
    // libheif takes the last of several `meta` boxes.
    const two = (bytes: Buffer) => Buffer.concat([bytes.subarray(0, start), empty, bytes.subarray(start)]);
    expect(Buffer.from(withoutExif(two(file)))).to.deep.equal(two(hidden));
    const many = Array.from({ length: 1_000 }, () => Buffer.from([0, 0, 0, 8, ...Buffer.from('free')]));
    const far = Buffer.concat([file.subarray(0, start), empty, ...many, file.subarray(start)]);
    expect((await imageErrorOf(far)).message).to.contain('more boxes than an image');
    expect(await imageOf(file)).to.deep.equal(await imageOf(await plain.avif().toBuffer()));
  });

  it('refuses a HEIF image whose items share its bytes, of which libheif would copy gigabytes', async () => {
    for (const [version, lengthBytes] of [
      [0, 4],
      [1, 8],
      [2, 4],
    ] as const) {
      /** Of two items with `extents` of a kilobyte each. */
      const file = (extents: number): Buffer => {
        const extent = Buffer.concat([Buffer.alloc(version === 0 ? 4 : 8), number(lengthBytes, 1_000)]);
        const item = Buffer.concat([
          Buffer.alloc((version === 2 ? 4 : 2) + (version === 0 ? 0 : 2) + 2 + 4),
          number(2, extents),
          ...Array.from({ length: extents }, () => extent),
        ]);
        const sizes = Buffer.from([version, 0, 0, 0, 0x40 + lengthBytes, version === 0 ? 0x40 : 0x44]);
        const iloc = box('iloc', sizes, number(version === 2 ? 4 : 2, 2), item, item);
        return Buffer.concat([box('ftyp'), box('meta', Buffer.alloc(4), iloc), box('mdat', Buffer.alloc(2_000))]);
      };
      expect(() => checkItems(file(3)), String(version)).to.not.throw();
      expect(() => checkItems(file(6)), String(version)).to.throw('many times as long as the file');
    }
    // 65,535 extents of each of a million items, which take no bytes.
    const empty = box('iloc', Buffer.of(2, 0, 0, 0, 0, 0), number(4, 1_000_000), Buffer.alloc(10_000_000, 255));
    expect(() => checkItems(box('meta', Buffer.alloc(4), empty))).to.not.throw();
    const avif = await sharp({ create: { width: 16, height: 16, channels: 3, background: '#456' } })
      .avif()
      .toBuffer();
    avif.writeUInt32BE(avif.length * 5, avif.indexOf('iloc') + 26);
    expect((await imageErrorOf(avif)).message).to.contain('its parts together are many times as long as the file');
  });

  it('refuses a HEIF image made of many more pixels than an image has, or of many frames, all of which libheif decodes', async () => {
    for (const [version, idBytes] of [
      [0, 2],
      [1, 4],
    ] as const) {
      /** Item 1 is made of `tiles` times item 2, of 100 x 100 pixels. */
      const file = (tiles: number): Buffer => {
        const size = box('ispe', number(4, 0), number(4, 100), number(4, 100));
        const uses = box('ipma', Buffer.from([version, 0, 0, 0]), number(4, 1), number(idBytes, 2), Buffer.of(1, 1));
        const ids = Array.from({ length: tiles }, () => number(idBytes, 2));
        const parts = box('dimg', number(idBytes, 1), number(2, tiles), ...ids);
        const references = box('iref', Buffer.from([version, 0, 0, 0]), parts);
        return box('meta', Buffer.alloc(4), box('iprp', box('ipco', size), uses), references);
      };
      expect(() => checkParts(file(4), 10_000), String(version)).to.not.throw();
      expect(() => checkParts(file(5), 10_000), String(version)).to.throw('many times the pixels of an image');
    }
    const avif = await sharp({ create: { width: 16, height: 16, channels: 3, background: '#456' } })
      .avif()
      .toBuffer();
    const place = avif.indexOf('iloc') + 16;
    const frame = avif.subarray(avif.readUInt32BE(place));
    /** Of one frame and `more` behind it, within the same item. */
    const withFrames = (more: number): Buffer => {
      const longer = Buffer.concat([avif, ...Array.from({ length: more }, () => frame)]);
      longer.writeUInt32BE(frame.length * (more + 1), place + 10);
      longer.writeUInt32BE(frame.length * (more + 1) + 8, longer.lastIndexOf('mdat') - 4);
      return longer;
    };
    expect(await imageOf(withFrames(3))).to.deep.equal(await imageOf(avif));
    expect((await imageErrorOf(withFrames(8))).message).to.contain('it has more frames than an image');
  });

  it("hides a PNG's compressed text from libpng, which would keep 8 GB of it", async () => {
    const plain = await sharp({ create: { width: 16, height: 8, channels: 3, background: '#456' } })
      .png()
      .toBuffer();
    const chunk = (type: string, data: string): Buffer => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(data.length);
      return Buffer.concat([length, Buffer.from(`${type}${data}crc.`, 'latin1')]);
    };
    const behindHeader = (...chunks: readonly Buffer[]) =>
      Buffer.concat([plain.subarray(0, 33), ...chunks, plain.subarray(33)]);
    const kept = behindHeader(chunk('tEXt', 'Title\0x'));
    const texts = ['Title\0\0x', 'Title\0\x01\0\0\0x'].map((text, at) => chunk(at === 0 ? 'zTXt' : 'iTXt', text));
    const file = behindHeader(...texts, chunk('tEXt', 'Title\0x'), ...texts);
    expect(Buffer.from(readablePng(file))).to.deep.equal(kept);
    expect(readablePng(kept)).to.equal(kept);
    expect(await decodeImage(behindHeader(...texts), { maxPixels: 256 })).to.deep.include({
      image: await imageOf(plain),
    });
    expect((await imageErrorOf(file.subarray(0, 50))).code).to.equal('IMAGE_UNREADABLE');
  });

  it('hides all of a PNG that its pixels do not need from its decoder, which would unpack 500 MB of a profile', async () => {
    const image = halves().joinChannel(Buffer.alloc(800), { raw: { width: 40, height: 20, channels: 1 } });
    const plain = await image.png({ palette: true }).toBuffer();
    const types = (png: Uint8Array): string[] =>
      Buffer.from(png)
        .toString('latin1')
        .match(/IHDR|PLTE|tRNS|IDAT|IEND/g) ?? [];
    expect(types(plain)).to.deep.equal(['IHDR', 'PLTE', 'tRNS', 'IDAT', 'IEND']);
    const more = pngChunk('iCCP', Buffer.from('profile\0\0of any size', 'latin1'));
    const file = Buffer.concat([plain.subarray(0, 33), more, plain.subarray(33), pngChunk('fdAT', more)]);
    expect(Buffer.from(barePng(file))).to.deep.equal(Buffer.from(barePng(plain)));
    expect(types(barePng(file))).to.deep.equal(types(plain));
    expect(Buffer.from(barePng(file)).includes(more)).to.equal(false);
  });

  it('reads the first frame of an animation, whatever the number of those behind, and refuses one that is not whole', async () => {
    const raw = { width: 16, height: 32, channels: 4, pageHeight: 16 } as const;
    const two = await sharp(new Random(4).bytes(16 * 32 * 4), { raw })
      .withExif({ IFD0: { Orientation: '6' } })
      .webp({ lossless: true })
      .toBuffer();
    const second = two.lastIndexOf('ANMF');
    const behind = second + 8 + two.readUInt32LE(second + 4);
    const withFrames = (frames: number): Buffer => {
      const repeated = Array.from({ length: frames }, () => two.subarray(second, behind));
      const file = Buffer.concat([two.subarray(0, second), ...repeated, two.subarray(behind)]);
      file.writeUInt32LE(file.length - 8, 4);
      return file;
    };
    const many = withFrames(5_000);
    expect(Buffer.from(withFirstFrame(many))).to.deep.equal(withFrames(0));
    expect(await imageOf(many)).to.deep.equal(await imageOf(withFrames(0)));
    expect((await imageErrorOf(many.subarray(0, -1))).message).to.contain('cut off');
    expect(withFirstFrame(many.subarray(0, -1))).to.have.length(many.length - 1);
  });

  it("limits a decoder's memory", () => {
    // One memory of one page without a limit, exported; a custom section behind it.
    const module = Uint8Array.from([
      0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 5, 3, 1, 0, 1, 7, 5, 1, 1, 0x6d, 2, 0, 0, 2, 1, 0,
    ]);
    const limited = limitWasmMemory(module, 300 * 65_536);
    expect([...limited.subarray(8, 15)]).to.deep.equal([5, 5, 1, 1, 1, 0xac, 2]);
    expect([...limited.subarray(15)]).to.deep.equal([...module.subarray(13)]);
    expect(() => limitWasmMemory(module.subarray(0, 8), 1)).to.throw('one memory of its own');
  });
});
