import type { Sharp } from 'sharp';
import { InferenceError } from '../../../errors.js';
import { refuseImage } from '../errors.js';
import { openImage, openRaw, readSamples } from '../open.js';
import type { RawImage } from '../raw-image.js';
import { MAX_SAMPLES, type TiffPage } from './page.js';

/** Whether the decoder alone would misread a page: wide numbers, or samples besides colour and alpha. */
export function needsOwnSamples(page: TiffPage): boolean {
  const extra = page.samples - page.colourSamples;
  return page.bitsPerSample > 16 || extra > 1 || (extra === 1 && !page.hasAlpha);
}

export interface SamplesOptions {
  /** Maximum bytes of all samples. */
  readonly maxBytes: number;
  /** Of the image. */
  readonly pixels: number;
  /** Whether to apply its orientation. */
  readonly turned: boolean;
}

/**
 * Opens a page whose samples are converted to 8 bits here. Unsigned numbers go from 0 to the largest there is (TIFF 6.0,
 * section 8: BitsPerSample), so their upper byte counts. Floats from 0 to 1 are taken for 0 to 255, as scikit-image, OpenCV
 * and MATLAB write images; others are measurements or light without an upper end, and refused. Samples besides the colours and one alpha are left out.
 */
export async function openTiffSamples(
  content: Uint8Array,
  page: TiffPage,
  { maxBytes, pixels, turned }: SamplesOptions,
): Promise<Sharp> {
  checkSamples(page);
  const bytes = pixels * Math.max(3, page.samples) * Math.max(1, page.bitsPerSample / 8);
  if (bytes > maxBytes) {
    throw new InferenceError(
      'IMAGE_TOO_LARGE',
      `Expected a TIFF image of at most ${maxBytes.toLocaleString('en')} bytes unpacked, got ${bytes.toLocaleString('en')} ` +
        `(${page.samples} samples of ${page.bitsPerSample} bits a pixel). Convert it to 8 bits or send it smaller.`,
    );
  }
  const depth = depthOf(page);
  const grey = page.colourSamples === 1;
  const location = page.subifd === undefined ? {} : { subifd: page.subifd };
  const { data, info } = await readSamples(() => {
    const image = openImage(content, { ...location, ignoreIcc: true, maxChannels: MAX_SAMPLES });
    // Keeps the file's colours: otherwise floats are treated as linear light.
    const kept = depth === 'float' && !grey ? image.toColourspace('scrgb') : image;
    return turned ? kept.autoOrient() : kept;
  }, depth);
  const channels = ((grey ? 1 : 3) + (page.hasAlpha ? 1 : 0)) as RawImage['channels'];
  const picked = pick(toBytes(data, depth), info.channels, pickedChannels(page, info.channels));
  return openRaw({ width: info.width, height: info.height, channels, data: picked });
}

/** The decoder itself reduces 16 bits to their upper byte. */
type Depth = 'float' | 'uint' | 'uchar';

function depthOf({ sampleFormat, bitsPerSample }: TiffPage): Depth {
  if (sampleFormat === 'float') return 'float';
  return bitsPerSample > 16 ? 'uint' : 'uchar';
}

function checkSamples(page: TiffPage): void {
  if (page.colourSamples === 4) {
    throw refuseImage('TIFF', 'a CMYK image with samples besides the four inks', 'Convert it to RGB.');
  }
  if (page.sampleFormat === 'float' && (page.hasProfile || page.whiteIsZero)) {
    const what = page.hasProfile ? 'with an ICC profile: it may be linear light (HDR)' : 'in which 0 is white';
    throw refuseImage('TIFF', `floating-point samples ${what}`, 'Convert it to 8 or 16 bits a sample.');
  }
}

/** The decoder repeats a single grey sample for red, green and blue. */
function pickedChannels(page: TiffPage, channels: number): readonly number[] {
  const colours = page.colourSamples >= 3 ? [0, 1, 2] : [0];
  const greyAsRgb = page.colourSamples === 1 && channels === page.samples + 2;
  return page.hasAlpha ? [...colours, greyAsRgb ? 3 : page.colourSamples] : colours;
}

function toBytes(data: Buffer, depth: Depth): Uint8Array {
  if (depth === 'uchar') return data;
  if (depth === 'float') return fromFloats(new Float32Array(data.buffer, data.byteOffset, data.byteLength / 4));
  const bytes = new Uint8Array(data.length / 4);
  // libvips outputs the machine's byte order, and Node.js runs on little-endian machines.
  for (let index = 0; index < bytes.length; index += 1) bytes[index] = data[index * 4 + 3] as number;
  return bytes;
}

function fromFloats(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(values.length);
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index] as number;
    if (!(value >= 0 && value <= 1)) {
      throw refuseImage(
        'TIFF',
        'floating-point samples that are not all between 0 and 1: which of them is white is not known',
        'Scale it to 0 to 1, or convert it to 8 or 16 bits a sample.',
      );
    }
    bytes[index] = Math.round(value * 255);
  }
  return bytes;
}

function pick(bytes: Uint8Array, channels: number, picks: readonly number[]): Uint8Array {
  const pixels = bytes.length / channels;
  const picked = new Uint8Array(pixels * picks.length);
  for (let pixel = 0, to = 0; pixel < pixels; pixel += 1) {
    for (const channel of picks) picked[to++] = bytes[pixel * channels + channel] as number;
  }
  return picked;
}
