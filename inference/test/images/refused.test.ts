import { expect } from 'chai';
import { IMAGE_FORMATS } from '../../src/media/images/index.js';
import { imageErrorOf } from '../support/image-files.js';

function latin1(text: string): Buffer {
  return Buffer.from(text.padEnd(160, '\0'), 'latin1');
}

const OTHERS: readonly (readonly [content: string, name: string])[] = [
  ['%PDF-1.7', 'a PDF'],
  ['<svg xmlns="http://www.w3.org/2000/svg"/>', 'an SVG drawing'],
  ['<?xml version="1.0"?>\n<!-- made by hand -->\n<svg width="3"/>', 'an SVG drawing'],
  ['<!DOCTYPE html><html>', 'an HTML page'],
  ['8BPS\0\u0001', 'a Photoshop file (PSD)'],
  ['\0\0\u0001\0\u0001\0', 'an ICO icon'],
  ['\0\0\u0002\0\u0001\0', 'a CUR cursor'],
  ['\0\0\u0002\0\0\0\0\0\0\0\0\0', 'a TGA image'],
  ['\0\0\0\u0018ftypcrx \0\0\0\u0001crx isom', 'a Canon CR3 camera raw file'],
  ['II*\0\u0010\0\0\0CR\u0002\0', 'a Canon CR2 camera raw file'],
  ['FUJIFILMCCD-RAW 0201', 'a Fujifilm RAF camera raw file'],
  ['IIRO\u0008\0\0\0', 'an Olympus ORF camera raw file'],
  ['IIU\0\u0018\0\0\0', 'a Panasonic RW2 camera raw file'],
  ['\0\0\0\u0018ftypmp42\0\0\0\0mp42isom', 'an MP4 video'],
  ['\0\0\0\u0014ftypqt  \0\0\0\0qt  ', 'a QuickTime video'],
  ['\u001aE\u00df\u00a3', 'a WebM or Matroska video'],
  ['RIFF\0\0\0\0AVI LIST', 'an AVI video'],
  ['\0\0\0\u000cjP  \r\n\u0087\n', 'a JPEG 2000 image'],
  ['v/1\u0001', 'an OpenEXR image'],
  ['#?RADIANCE\n', 'a Radiance HDR image'],
  ['gimp xcf v011', 'a GIMP file (XCF)'],
  ['qoif', 'a QOI image'],
  ['P5 10 10 255\n', 'a PNM (PBM, PGM or PPM) image'],
  ['DDS |', 'a DDS texture'],
  ['\u001f\u008b\u0008', 'a gzip file'],
  ['BM and other companies are mentioned here', 'a BMP image with an unknown header'],
];

describe('files that are no image of the formats', () => {
  for (const [content, name] of OTHERS) {
    it(`are refused by name: ${name}`, async () => {
      const error = await imageErrorOf(latin1(content));
      expect(error.code).to.equal('IMAGE_UNREADABLE');
      expect(error.message).to.contain(`got 160 bytes of ${name}.`).and.to.contain('JPEG XL');
    });
  }

  it('are refused by name if a HEIF file has no still image, another codec, or more tiles than its decoder reads', async () => {
    const box = (type: string, ...parts: readonly Uint8Array[]): Buffer => {
      const body = Buffer.concat(parts);
      const head = Buffer.alloc(8);
      head.writeUInt32BE(body.length + 8, 0);
      head.write(type, 4, 'latin1');
      return Buffer.concat([head, body]);
    };
    const brands = (major: string): Buffer => box('ftyp', Buffer.from(`${major}\0\0\0\0${major}`, 'latin1'));
    for (const [major, format] of [
      ['avis', 'AVIF'],
      ['hevc', 'HEIC'],
    ] as const) {
      const error = await imageErrorOf(Buffer.concat([brands(major), box('moov', Buffer.alloc(20))]));
      expect(error.message, major).to.equal(
        `Expected a supported ${format} image, got an image sequence without a still image. Send its first frame as a still image.`,
      );
    }
    for (const [property, codec] of [
      ['avcC', 'H.264'],
      ['vvcC', 'H.266'],
      ['uncC', 'uncompressed pixels'],
    ] as const) {
      const meta = box('meta', Buffer.alloc(4), box('iprp', box('ipco', box('ispe', Buffer.alloc(12)), box(property))));
      expect((await imageErrorOf(Buffer.concat([brands('mif1'), meta]))).message, property).to.equal(
        `Expected a supported HEIC image, got a HEIF image with ${codec} inside. Send it as HEIC (HEVC), AVIF or JPEG.`,
      );
    }
    // As avifenc -g 16x16 writes it.
    const tiles = box('iinf', Buffer.of(0, 0, 0, 0, 1, 1));
    const meta = box('meta', Buffer.alloc(4), tiles, box('iprp', box('ipco', box('av1C'))));
    expect((await imageErrorOf(Buffer.concat([brands('avif'), meta]))).message).to.equal(
      'Expected a supported AVIF image, got one of 257 tiles and other parts. Write it with at most 256 of them.',
    );
  });

  it('are refused by name if a PNG is one of an iOS app', async () => {
    const file = Buffer.from('89504e470d0a1a0a000000044367424950002002', 'hex');
    expect((await imageErrorOf(file)).message).to.match(/^Expected a supported PNG image, got one .*CgBI.*pngcrush/);
  });

  it('are refused by name if a JPEG is of a kind that its decoder does not know', async () => {
    const frame = (marker: number, bits: number): Buffer => {
      const file = Buffer.from('ffd8fffe0003c3ff00000b000010001001011100ffd9', 'hex');
      file[8] = marker;
      file[11] = bits;
      return file;
    };
    const kinds = [
      [frame(0xf7, 8), 'a JPEG-LS image'],
      [frame(0xc3, 16), 'a lossless JPEG image'],
      [frame(0xc5, 8), 'a hierarchical JPEG image'],
      [frame(0xc1, 12), 'a JPEG image of 12 bits a sample'],
      [frame(0xc0, 8).fill(0, 12, 14), 'a JPEG image whose height is named behind its pixels (DNL)'],
    ] as const;
    for (const [content, kind] of kinds) {
      expect((await imageErrorOf(content)).message).to.equal(
        `Expected a supported JPEG image, got ${kind}. Convert it to a usual JPEG of 8 bits a sample, or to PNG.`,
      );
    }
    expect((await imageErrorOf(frame(0xc0, 8))).message).to.match(/Expected a whole JPEG image/);
  });

  it('name every format in the same order as GetServerInfo', () => {
    expect(IMAGE_FORMATS).to.deep.equal(['JPEG', 'PNG', 'WebP', 'GIF', 'AVIF', 'HEIC', 'TIFF', 'BMP', 'JXL']);
  });
});
