import { expect } from 'chai';
import sharp from 'sharp';
import { srgbConversion } from '../../src/media/images/colours.js';
import { decodeImage } from '../../src/media/images/index.js';
import { isSrgbProfile } from '../../src/media/images/srgb-profile.js';

/** A tag's four letters and its bytes. */
type Tag = readonly [name: string, content: Buffer];

/** A profile of colours `RGB ` over `XYZ `, as far as it is looked at. */
function profile(tags: readonly Tag[], space = 'RGB '): Uint8Array {
  const head = Buffer.alloc(128 + 4 + tags.length * 12);
  head.write(space, 16, 'latin1');
  head.write('XYZ ', 20, 'latin1');
  head.writeUInt32BE(tags.length, 128);
  let offset = head.length;
  tags.forEach(([name, content], index) => {
    head.write(name, 132 + index * 12, 'latin1');
    head.writeUInt32BE(offset, 136 + index * 12);
    head.writeUInt32BE(content.length, 140 + index * 12);
    offset += content.length;
  });
  return Buffer.concat([head, ...tags.map(([, content]) => content)]);
}

function numbers(type: string, ...values: readonly number[]): Buffer {
  const content = Buffer.alloc(8 + values.length * 4);
  content.write(type, 0, 'latin1');
  values.forEach((value, index) => {
    content.writeInt32BE(Math.round(value * 65_536), 8 + index * 4);
  });
  return content;
}

function parametric(kind: number, ...values: readonly number[]): Buffer {
  const content = numbers('para', 0, ...values);
  content.writeUInt16BE(kind, 8);
  return content;
}

function sampled(...values: readonly number[]): Buffer {
  const content = Buffer.alloc(12 + values.length * 2);
  content.write('curv', 0, 'latin1');
  content.writeUInt32BE(values.length, 8);
  values.forEach((value, index) => {
    content.writeUInt16BE(value, 12 + index * 2);
  });
  return content;
}

/** sRGB's own primaries under D50. */
const PRIMARIES: readonly Tag[] = [
  ['rXYZ', numbers('XYZ ', 0.4360747, 0.2225045, 0.0139322)],
  ['gXYZ', numbers('XYZ ', 0.3850649, 0.7168786, 0.0971045)],
  ['bXYZ', numbers('XYZ ', 0.1430804, 0.0606169, 0.7141733)],
];

function curves(curve: Buffer): readonly Tag[] {
  return ['rTRC', 'gTRC', 'bTRC'].map((name) => [name, curve] as const);
}

function convert(bytes: Uint8Array, icc: Uint8Array): number[] | undefined {
  const pixels = new Uint8Array([...bytes, ...bytes, ...bytes].slice(0, bytes.length * 3));
  for (let at = 0; at < bytes.length; at += 1) pixels.fill(bytes[at] ?? 0, at * 3, at * 3 + 3);
  const conversion = srgbConversion(icc);
  conversion?.(pixels);
  return conversion === undefined ? undefined : [...pixels].filter((_, at) => at % 3 === 0);
}

const GREYS = Uint8Array.from({ length: 256 }, (_, byte) => byte);
const SRGB_CURVE = parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045);

describe('colours of an ICC profile', () => {
  it('are unchanged if the profile describes sRGB', () => {
    expect(convert(GREYS, profile([...PRIMARIES, ...curves(SRGB_CURVE)]))).to.deep.equal([...GREYS]);
    const pixels = Uint8Array.of(255, 0, 0, 0, 255, 0, 0, 0, 255, 200, 100, 50);
    srgbConversion(profile([...PRIMARIES, ...curves(SRGB_CURVE)]))?.(pixels);
    expect([...pixels]).to.deep.equal([255, 0, 0, 0, 255, 0, 0, 0, 255, 200, 100, 50]);
  });

  it('follow every kind of curve', () => {
    const grey = (curve: Buffer): number | undefined =>
      convert(Uint8Array.of(128), profile([...PRIMARIES, ...curves(curve)]))?.[0];
    const encode = (light: number): number => Math.round(255 * (1.055 * light ** (1 / 2.4) - 0.055));
    const half = 128 / 255;
    expect(grey(sampled())).to.equal(encode(half));
    expect(grey(sampled(2.2 * 256))).to.equal(encode(half ** (Math.trunc(2.2 * 256) / 256)));
    expect(grey(sampled(0, 16_384, 65_535))).to.equal(encode(0.25 + (half * 2 - 1) * 0.75));
    expect(grey(parametric(0, 1.8))).to.equal(encode(half ** 1.8));
    expect(grey(parametric(1, 2, 0.5, 0.25))).to.equal(encode((half * 0.5 + 0.25) ** 2));
    expect(grey(parametric(2, 2, 0.5, 0.25, 0.1))).to.equal(encode((half * 0.5 + 0.25) ** 2 + 0.1));
    expect(grey(parametric(3, 2, 1, 0, 0.5, 0.9))).to.equal(encode(half * 0.5));
    expect(grey(parametric(4, 2, 1, 0, 0.5, 0.9, 0.1, 0.2))).to.equal(encode(half * 0.5 + 0.2));
  });

  it('are left to the decoder if the profile is of another kind, or damaged', () => {
    const whole = profile([...PRIMARIES, ...curves(SRGB_CURVE)]);
    expect(srgbConversion(profile([...PRIMARIES, ...curves(SRGB_CURVE)], 'CMYK'))).to.equal(undefined);
    expect(srgbConversion(profile([...PRIMARIES, ...curves(SRGB_CURVE), ['A2B0', sampled()]]))).to.equal(undefined);
    expect(srgbConversion(profile(PRIMARIES))).to.equal(undefined);
    expect(srgbConversion(profile(curves(SRGB_CURVE)))).to.equal(undefined);
    expect(srgbConversion(profile([...PRIMARIES, ...curves(parametric(9, 1))]))).to.equal(undefined);
    for (const length of [0, 17, 130, 200, whole.length - 5]) {
      expect(srgbConversion(whole.subarray(0, length)), String(length)).to.equal(undefined);
    }
  });
});

describe('the name of an ICC profile', () => {
  function named(name: string, tags: readonly Tag[] = []): Uint8Array {
    const text = Buffer.from(name, 'utf16le').swap16();
    const content = Buffer.alloc(28);
    content.write('mluc', 0, 'latin1');
    content.writeUInt32BE(1, 8);
    content.writeUInt32BE(12, 12);
    content.writeUInt32BE(text.length, 20);
    content.writeUInt32BE(content.length, 24);
    return profile([['desc', Buffer.concat([content, text])], ...tags]);
  }

  it('requires no conversion if it is sRGB', () => {
    expect(isSrgbProfile(named('sRGB IEC61966-2.1'))).to.equal(true);
    expect(isSrgbProfile(named('GIMP built-in sRGB'))).to.equal(true);
    expect(isSrgbProfile(named('Adobe RGB (1998)'))).to.equal(false);
  });

  it('requires a conversion if only the primaries are those of sRGB', () => {
    for (const name of ['GIMP built-in Linear sRGB', 'sRGB-elle-V4-g10.icc linear', 'scRGB', 'sRGB (linear)']) {
      expect(isSrgbProfile(named(name)), name).to.equal(false);
    }
  });
});

describe('the primaries of an ICC profile that is named after sRGB', () => {
  const desc: Tag = [
    'desc',
    Buffer.concat([Buffer.from('desc\0\0\0\0\0\0\0\x1f', 'latin1'), Buffer.from('Rec2020 Gamut with sRGB Transfer')]),
  ];
  const withPrimaries = (primaries: readonly Tag[]) => profile([desc, ...primaries, ...curves(SRGB_CURVE)]);

  it('require a conversion if they are not those of sRGB', () => {
    const rec2020: readonly Tag[] = [
      ['rXYZ', numbers('XYZ ', 0.67349, 0.27904, -0.00194)],
      ['gXYZ', numbers('XYZ ', 0.16567, 0.67535, 0.02998)],
      ['bXYZ', numbers('XYZ ', 0.12505, 0.04561, 0.79686)],
    ];
    const [red, green, blue] = PRIMARIES.map(([, content]) => content) as [Buffer, Buffer, Buffer];
    const swapped: readonly Tag[] = [
      ['rXYZ', green],
      ['gXYZ', blue],
      ['bXYZ', red],
    ];
    for (const primaries of [rec2020, swapped]) expect(isSrgbProfile(withPrimaries(primaries))).to.equal(false);
    expect(isSrgbProfile(withPrimaries(PRIMARIES))).to.equal(true);
  });
});

describe('the curves of an ICC profile that is named after sRGB', () => {
  const desc = Buffer.alloc(12 + 20);
  desc.write('desc', 0, 'latin1');
  desc.writeUInt32BE(20, 8);
  desc.write('sRGB-elle-V2-g10.icc', 12, 'latin1');
  const withCurve = (curve: Buffer) => profile([['desc', desc], ...PRIMARIES, ...curves(curve)]);

  it('require a conversion if they are not those of sRGB', () => {
    const television = parametric(3, 1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081);
    const lightness = parametric(3, 3, 1 / 1.16, 0.16 / 1.16, 1 / 9.033, 0.08);
    for (const curve of [sampled(), sampled(256), television, lightness, parametric(0, 1.8)])
      expect(isSrgbProfile(withCurve(curve))).to.equal(false);
  });

  it('require none if they are those of sRGB, or its gamma of 2.2', () => {
    const table = Array.from({ length: 1_024 }, (_, at) => {
      const value = at / 1_023;
      return Math.round(65_535 * (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    });
    for (const curve of [SRGB_CURVE, sampled(...table), sampled(Math.round(2.2 * 256)), parametric(9, 1)])
      expect(isSrgbProfile(withCurve(curve))).to.equal(true);
  });
});

describe('a broken ICC profile', () => {
  /** A JPEG with the profile in an APP2 segment. */
  function withProfile(jpeg: Buffer, icc: Uint8Array): Buffer {
    const name = Buffer.from('ICC_PROFILE\0\x01\x01', 'latin1');
    const head = Buffer.from([0xff, 0xe2, 0, 0]);
    head.writeUInt16BE(2 + name.length + icc.length, 2);
    return Buffer.concat([jpeg.subarray(0, 2), head, name, icc, jpeg.subarray(2)]);
  }

  it('does not fail a readable image: its colours stay as they are stored', async () => {
    const jpeg = await sharp({ create: { width: 16, height: 16, channels: 3, background: '#c86432' } })
      .jpeg()
      .toBuffer();
    const plain = (await decodeImage(jpeg, { maxPixels: 1_000 })).image;
    const whole = profile([...PRIMARIES, ...curves(SRGB_CURVE)]);
    const endless = Buffer.from(whole);
    endless.writeUInt32BE(0xffff_ffff, 128);
    const broken: Readonly<Record<string, Uint8Array>> = {
      'of one byte': whole.subarray(0, 1),
      'without tags': whole.subarray(0, 130),
      'cut off': whole.subarray(0, 200),
      'of 4 billion tags': endless,
      'of grey': profile(curves(sampled(2.2 * 256)), 'GRAY'),
      'of inks': profile([...PRIMARIES, ...curves(SRGB_CURVE)], 'CMYK'),
      'of noise': Uint8Array.from({ length: 600 }, (_, at) => (at * 131 + 7) % 251),
    };
    for (const [kind, icc] of Object.entries(broken)) {
      const { image } = await decodeImage(withProfile(jpeg, icc), { maxPixels: 1_000 });
      expect(Buffer.from(image.data).equals(Buffer.from(plain.data)), kind).to.equal(true);
    }
  });
});
