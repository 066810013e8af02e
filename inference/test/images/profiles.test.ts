import { expect } from 'chai';
import sharp from 'sharp';
import { configureImageDecoding, decodeImage } from '../../src/media/images/index.js';
import { halves, pixelAt } from '../support/image-files.js';
import { Random } from '../support/random.js';
import { imageTags, writeTiff } from '../support/tiff-file.js';

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

describe('an image with an ICC profile', () => {
  before(() => configureImageDecoding());

  it('of a wide colour space is converted to sRGB', async () => {
    const green = sharp({ create: { width: 8, height: 8, channels: 3, background: '#00ff00' } });
    const wide = green.withIccProfile('p3');
    const deep = wide.clone().toColourspace('rgb16');
    const files = [wide.clone().png(), deep.clone().png(), deep.clone().ensureAlpha().png(), deep.clone().tiff()];
    for (const [index, file] of files.entries()) {
      const content = await file.toBuffer();
      const stored = await sharp(content, { ignoreIcc: true }).raw().toBuffer();
      expect(stored[0], 'the file itself holds other numbers').to.be.above(20);
      const { image } = await decodeImage(content, LIMIT);
      const [red, value, blue] = pixelAt(image, 4, 4);
      expect(red, `file ${index}`).to.be.below(20);
      expect(value, `file ${index}`).to.be.above(250);
      expect(blue, `file ${index}`).to.be.below(20);
    }
  });

  it('is converted if it is grey of 16 bits', async () => {
    expect(pixelAt((await decodeImage(LINEAR_GREY, LIMIT)).image, 0, 0)[0]).to.be.within(123, 124);
  });

  it('of 16 bits a colour is converted with all of them: the darkest of linear light would be lost with the lower eight', async () => {
    for (const value of pixelAt((await decodeImage(LINEAR_COLOUR, LIMIT)).image, 0, 0))
      expect(value).to.be.within(17, 18);
  });

  it('is converted before transparent parts are mixed with white', async () => {
    const { icc } = await sharp(LINEAR_COLOUR).metadata();
    // Black, half transparent, and a sample that is left out.
    const pixels = Buffer.alloc(4 * 5, Uint8Array.of(0, 0, 0, 128, 7));
    const more = [[338, 3, [2, 0]] as const, [34_675, 1, [...(icc ?? [])]] as const];
    const file = writeTiff([{ tags: imageTags({ width: 2, height: 2, samples: 5, more }), pixels }]);
    expect(pixelAt((await decodeImage(file, LIMIT)).image, 0, 0)).to.deep.equal([127, 127, 127]);
    const green = sharp({
      create: { width: 2, height: 2, channels: 4, background: { r: 0, g: 255, b: 0, alpha: 0.5 } },
    });
    const deep = await green.withIccProfile('p3').toColourspace('rgb16').png().toBuffer();
    const [red, , blue] = pixelAt((await decodeImage(deep, LIMIT)).image, 0, 0);
    expect(red).to.be.closeTo(127, 3);
    expect(blue).to.be.closeTo(127, 3);
  });

  it('keeps its 16-bit colours if the profile is broken', async () => {
    const blue = sharp({ create: { width: 8, height: 8, channels: 3, background: '#306090' } }).toColourspace('rgb16');
    const file = await blue.withIccProfile('p3').tiff({ compression: 'none' }).toBuffer();
    const stored = await sharp(file, { ignoreIcc: true }).toColourspace('srgb').raw().toBuffer();
    const profile = file.indexOf('acsp') - 36;
    for (const at of [profile + 16, profile + 36]) {
      const broken = Buffer.from(file).fill(0, at, at + 4);
      expect(Buffer.from((await decodeImage(broken, LIMIT)).image.data)).to.deep.equal(stored);
    }
    const converted = pixelAt((await decodeImage(file, LIMIT)).image, 0, 0);
    for (const [at, value] of [0x30, 0x60, 0x90].entries()) expect(converted[at]).to.be.closeTo(value, 1);
  });

  it("gets the decoder's own colours, but faster, by a simple profile; others are left to the decoder", async () => {
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

  it('keeps its colours if the profile is named sRGB', async () => {
    const plain = await halves().png().toBuffer();
    const named = await halves().withIccProfile('srgb').png().toBuffer();
    const wide = await halves().withIccProfile('p3').png().toBuffer();
    expect((await decodeImage(named, LIMIT)).header.colours).to.deep.equal({ ignoreIcc: true });
    expect((await decodeImage(wide, LIMIT)).header.toSrgb).to.not.equal(undefined);
    expect((await decodeImage(named, LIMIT)).image).to.deep.equal((await decodeImage(plain, LIMIT)).image);
  });
});
