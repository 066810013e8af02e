import { expect } from 'chai';
import sharp, { type JpegOptions } from 'sharp';
import { configureImageDecoding } from '../../src/media/images/index.js';
import { readJpegScans } from '../../src/media/images/jpeg-scans.js';
import { imageErrorOf, imageFixture, imageOf } from '../support/image-files.js';
import { Random } from '../support/random.js';

/** Blotches of colour, large enough for a hundred blocks and more. */
async function photograph(options: JpegOptions = {}, grey = false): Promise<Buffer> {
  const noise = sharp(new Random(5).bytes(20 * 15 * 3), { raw: { width: 20, height: 15, channels: 3 } });
  const resized = noise.resize(640, 480, { kernel: 'cubic' });
  return await (grey ? resized.greyscale() : resized).jpeg({ quality: 80, ...options }).toBuffer();
}

describe('the end of a JPEG', () => {
  before(() => configureImageDecoding());

  it('may lack its marker, as in files of some cameras', async () => {
    const inks = await sharp(await photograph())
      .toColourspace('cmyk')
      .jpeg()
      .toBuffer();
    const files = [await photograph(), await photograph({ progressive: true }), await photograph({}, true), inks];
    for (const [index, whole] of files.entries()) {
      const expected = await imageOf(whole);
      const ends = [
        whole.subarray(0, -2),
        whole.subarray(0, -1),
        Buffer.concat([whole.subarray(0, -2), Buffer.alloc(7)]),
      ];
      for (const file of ends) expect(await imageOf(file), `file ${index}`).to.deep.equal(expected);
    }
  });

  it('may be followed by anything', async () => {
    const whole = await photograph();
    const expected = await imageOf(whole);
    for (const tail of [new Random(7).bytes(300), await photograph({ quality: 20 }), Buffer.alloc(10_000)]) {
      expect(await imageOf(Buffer.concat([whole, tail]))).to.deep.equal(expected);
    }
  });

  it('may be followed by the gain map of Ultra HDR, which is left out, and damage before it is found', async () => {
    const file = imageFixture('ultra_hdr.jpg');
    const end = file.indexOf(Buffer.from([0xff, 0xd9, 0xff, 0xd8]));
    const shown = file.subarray(0, end + 2);
    expect(await imageOf(file)).to.deep.equal(await imageOf(shown));
    const damaged = Buffer.concat([file.subarray(0, end - 1_000), file.subarray(end)]);
    expect((await imageErrorOf(damaged)).message).to.match(/of the image is missing/);
  });

  it('may lack a hundredth of the image, which is then grey', async () => {
    const whole = await photograph();
    const expected = await imageOf(whole);
    for (const cut of [3, 20, Math.floor(whole.length * 0.004)]) {
      const image = await imageOf(whole.subarray(0, whole.length - cut));
      const upper = expected.width * (expected.height - 18) * 3;
      expect(Buffer.compare(image.data.subarray(0, upper), expected.data.subarray(0, upper)), String(cut)).to.equal(0);
    }
    // A small image may lack its last block.
    expect((await imageOf(imageFixture('missing_eoi.jpg').subarray(0, -4))).width).to.equal(96);
  });

  it('must not lack a substantial part, wherever the file is cut and whatever follows', async () => {
    const whole = await photograph();
    const marker = Buffer.from([0xff, 0xd9]);
    for (const share of [0.97, 0.9, 0.5, 0.2]) {
      const cut = whole.subarray(0, Math.floor(whole.length * share));
      for (const file of [cut, Buffer.concat([cut, marker])]) {
        const error = await imageErrorOf(file);
        expect(error.code).to.equal('IMAGE_UNREADABLE');
        const percent = Number(/ends? too early: about (\d+) % of the image is missing/.exec(error.message)?.[1]);
        expect(percent, error.message).to.be.closeTo(100 - share * 100, 8);
      }
    }
    const inks = await sharp(whole).toColourspace('cmyk').jpeg().toBuffer();
    const half = inks.subarray(0, inks.length / 2);
    for (const file of [half, Buffer.concat([half, marker])])
      expect((await imageErrorOf(file)).message).to.contain('a part of the image is missing');
    const progressive = await photograph({ progressive: true });
    for (const share of [0.9, 0.5, 0.3, 0.2, 0.15]) {
      const error = await imageErrorOf(progressive.subarray(0, Math.floor(progressive.length * share)));
      expect(error.message).to.contain('a part of the image is missing');
    }
  });

  it('must not be zeros in place of data, as a crash or a download into a file of full size leaves them', async () => {
    const whole = await photograph();
    const kept = whole.subarray(0, Math.floor(whole.length * 0.9));
    for (const zeros of [whole.length - kept.length, 100_000]) {
      const { message } = await imageErrorOf(Buffer.concat([kept, Buffer.alloc(zeros)]));
      expect(message).to.match(/about 1\d % of the image is missing/);
    }
    const padded = [
      Buffer.concat([whole, Buffer.alloc(999)]),
      Buffer.concat([whole.subarray(0, -2), Buffer.alloc(999)]),
    ];
    for (const file of padded) expect(await imageOf(file)).to.deep.equal(await imageOf(whole));
  });

  it('is not what lies behind a gap, which libjpeg moves up to the next restart marker', async () => {
    const whole = imageFixture('restart_markers.jpg');
    const markers = [...whole.keys()].filter((at) => whole[at] === 0xff && ((whole[at + 1] as number) & 0xf8) === 0xd0);
    expect(markers).to.have.length(29);
    expect((await imageOf(whole)).height).to.equal(480);
    const [from, next, far] = [5, 6, 13].map((index) => (markers[index] as number) + 2) as [number, number, number];
    const lost: readonly [Buffer, RegExp][] = [
      [Buffer.concat([whole.subarray(0, from), whole.subarray(far)]), /with gaps: about 27 % of the image/],
      [Buffer.concat([whole.subarray(0, from), whole.subarray(next)]), /with gaps: about 3 % of the image/],
      [Buffer.concat([whole.subarray(0, next), whole.subarray(from)]), /with gaps: a part of the image/],
      [
        Buffer.concat([whole.subarray(0, far), Buffer.alloc(whole.length - far)]),
        /with gaps: about \d\d % of the image/,
      ],
    ];
    for (const [file, message] of lost) expect((await imageErrorOf(file)).message).to.match(message);
  });

  it('is judged alike whatever else is decoded meanwhile, whose messages libvips shares', async () => {
    const whole = await photograph();
    const cut = Buffer.concat([whole.subarray(0, whole.length / 2), Buffer.from([0xff, 0xd9])]);
    const odd = Buffer.concat([whole.subarray(0, -2), Buffer.alloc(4, 1), whole.subarray(-2)]);
    const decoded = [cut, odd, whole, cut, odd, whole.subarray(0, 900), cut, odd].map((file) => imageOf(file));
    const verdicts = (await Promise.allSettled([...decoded, ...decoded.map(() => imageOf(cut))])).map((verdict) =>
      verdict.status === 'fulfilled' ? 'whole' : /\d+ % of the image is missing/.exec(verdict.reason.message)?.[0],
    );
    const half = verdicts[0];
    expect(half).to.match(/5\d %/);
    expect(verdicts.slice(0, 5)).to.deep.equal([half, 'whole', 'whole', half, 'whole']);
    expect(verdicts.slice(6)).to.deep.equal([half, 'whole', ...decoded.map(() => half)]);
  });

  it('is looked for behind warnings about unusual headers, which come first and alone', async () => {
    const whole = await photograph();
    const odd = Buffer.from(whole);
    // The end of the spectrum in the header of the scan: 0 for 63.
    odd[odd.indexOf(Uint8Array.of(0xff, 0xda)) + 12] = 0;
    expect(await imageOf(odd)).to.deep.equal(await imageOf(whole));
    const cut = Buffer.concat([odd.subarray(0, odd.length / 2), Buffer.alloc(500, 0xff), Buffer.from([0xd9])]);
    expect((await imageErrorOf(cut)).message).to.match(/about 5\d % of the image is missing/);
    const grey = await sharp({ create: { width: 64, height: 64, channels: 3, background: '#808080' } })
      .jpeg()
      .toBuffer();
    grey[grey.indexOf(Uint8Array.of(0xff, 0xda)) + 12] = 0;
    expect((await imageOf(grey)).data).to.deep.equal(new Uint8Array(64 * 64 * 3).fill(128));
  });

  it('is found behind more restart markers than libvips bears warnings', async () => {
    const whole = imageFixture('progressive_restarts.jpg');
    expect(await imageOf(whole.subarray(0, -2))).to.deep.equal(await imageOf(whole));
    const cut = Buffer.concat([whole.subarray(0, -20), whole.subarray(-2)]);
    expect((await imageErrorOf(cut)).message).to.contain('of the image is missing');
  });

  it('is judged by the first frame header, however many components and scans follow in its data', async () => {
    const whole = await photograph({}, true);
    const components = 255;
    const frame = Buffer.alloc(10 + components * 3, Uint8Array.of(1, 0x44, 0));
    frame.set([0xff, 0xc0, (8 + components * 3) >> 8, (8 + components * 3) & 255, 8, 1, 224, 2, 128, components]);
    const scan = Uint8Array.of(0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0);
    const half = whole.subarray(0, whole.length / 2);
    const file = Buffer.concat([half, frame, Buffer.alloc(200_000 * scan.length, scan)]);
    expect(readJpegScans(file)).to.deep.equal(readJpegScans(half));
    expect((await imageErrorOf(file)).message).to.match(/about \d+ % of the image is missing/);
  });
});
