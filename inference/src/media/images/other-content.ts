import { latin1 } from '../bytes.js';

/** Describes unsupported bytes for an error message: "a PDF", "text beginning `Hello`". */
export function describeContent(content: Uint8Array): string {
  const known = KNOWN_OTHERS.find(([at, signature]) => latin1(content, at, at + signature.length) === signature);
  const size = `${content.length.toLocaleString('en')} byte${content.length === 1 ? '' : 's'}`;
  if (known !== undefined) return `${size} of ${known[2]}`;
  const text = Buffer.from(content.subarray(0, TEXT_BYTES)).toString('latin1');
  if (/<svg[\s>]/i.test(text)) return `${size} of an SVG drawing`;
  if (/^\s*<(!doctype html|html)/i.test(text)) return `${size} of an HTML page`;
  const head = content.subarray(0, 24);
  if (head.every((byte) => byte === 9 || byte === 10 || byte === 13 || (byte >= 32 && byte < 127))) {
    return `${size} of text beginning ${JSON.stringify(latin1(content, 0, 24))}`;
  }
  return `${size} beginning ${Buffer.from(content.subarray(0, 8)).toString('hex')} in hex`;
}

/** An SVG may begin with comments and declarations. */
const TEXT_BYTES = 1_024;

const IN_BASE64 = 'text in base64: send the bytes that it stands for';

const KNOWN_OTHERS: readonly (readonly [at: number, signature: string, name: string])[] = [
  [0, '%PDF', 'a PDF'],
  [0, '%!PS', 'a PostScript file'],
  [0, '\u00c5\u00d0\u00d3\u00c6', 'an EPS file'],
  [0, '<svg', 'an SVG drawing'],
  [0, 'PK\u0003\u0004', 'a ZIP archive'],
  [0, '\u001f\u008b', 'a gzip file'],
  [0, 'fLaC', 'a FLAC audio'],
  [0, 'OggS', 'an Ogg audio'],
  [0, 'ID3', 'an MP3 audio'],
  [8, 'WAVE', 'a WAV audio'],
  [8, 'AVI ', 'an AVI video'],
  [0, '\u001aE\u00df\u00a3', 'a WebM or Matroska video'],
  [0, 'FLV\u0001', 'an FLV video'],
  [0, '0&\u00b2u\u008ef\u00cf\u0011', 'a Windows Media file'],
  [0, '\u0000\u0000\u0001\u00ba', 'an MPEG video'],
  [0, '\u0000\u0000\u0001\u00b3', 'an MPEG video'],
  // Camera raw: the models expect developed images, not sensor values.
  [4, 'ftypcrx ', 'a Canon CR3 camera raw file'],
  [8, 'CR\u0002', 'a Canon CR2 camera raw file'],
  [0, 'FUJIFILMCCD-RAW', 'a Fujifilm RAF camera raw file'],
  [0, 'IIRO', 'an Olympus ORF camera raw file'],
  [0, 'IIRS', 'an Olympus ORF camera raw file'],
  [0, 'MMOR', 'an Olympus ORF camera raw file'],
  [0, 'IIU\u0000', 'a Panasonic RW2 camera raw file'],
  // Other images.
  [4, 'ftypavci', 'a HEIF image with H.264 inside'],
  [4, 'ftypj2ki', 'a HEIF image with JPEG 2000 inside'],
  [4, 'ftypjp', 'a JPEG 2000 image'],
  [4, 'ftypqt', 'a QuickTime video'],
  [4, 'ftyp', 'an MP4 video'],
  [4, 'moov', 'a QuickTime video'],
  [4, 'jP  ', 'a JPEG 2000 image'],
  [0, '\u00ff\u004f\u00ff\u0051', 'a JPEG 2000 image'],
  [0, '8BPS', 'a Photoshop file (PSD)'],
  [0, '8BPB', 'a Photoshop file (PSB)'],
  [0, 'gimp xcf', 'a GIMP file (XCF)'],
  [0, '\u0000\u0000\u0001\u0000', 'an ICO icon'],
  [0, '\u0000\u0000\u0002\u0000\u0000\u0000\u0000\u0000', 'a TGA image'],
  [0, '\u0000\u0000\u0002\u0000', 'a CUR cursor'],
  [0, 'icns', 'an ICNS icon'],
  [0, 'BM', 'a BMP image with an unknown header'],
  [0, '#?RADIANCE', 'a Radiance HDR image'],
  [0, 'v/1\u0001', 'an OpenEXR image'],
  [0, 'DDS ', 'a DDS texture'],
  [0, 'qoif', 'a QOI image'],
  [0, 'II\u00bc\u0001', 'a JPEG XR image'],
  [0, '\u00d7\u00cd\u00c6\u009a', 'a WMF drawing'],
  [40, ' EMF', 'an EMF drawing'],
  [128, 'DICM', 'a DICOM file'],
  ...['P1', 'P2', 'P3', 'P4', 'P5', 'P6', 'P7'].flatMap((signature) =>
    ['\n', ' '].map(
      (end) => [0, signature + end, `a ${signature === 'P7' ? 'PAM' : 'PNM (PBM, PGM or PPM)'} image`] as const,
    ),
  ),
  [0, '<?xml version="1.0"?><svg', 'an SVG drawing'],
  // JPEG, PNG, WebP and GIF in base64: encoded twice in JSON, or needlessly in gRPC.
  ...['data:image/', '/9j/', 'iVBORw0KGgo', 'UklGR', 'R0lGOD'].map((start) => [0, start, IN_BASE64] as const),
];
