import sharp, { type Metadata, type Sharp } from 'sharp';
import { InferenceError } from '../../errors.js';
import { type ColourConversion, srgbConversion } from './colours.js';
import { decodeWithin } from './decode-limit.js';
import { describeContent, IMAGE_FORMATS, type ImageFormat, sniffImageFormat } from './formats.js';
import { isSrgbProfile } from './icc.js';
import type { Picture } from './picture.js';

/** A picture of one pixel's width shows nothing; it is a tracking pixel or a mistake. */
const LEAST_SIDE = 2;
/** A decoder that has worked for so long is being held up on purpose. libvips counts by the clock on the wall, so decodeWithin looks twice. */
const DECODE_LIMIT = {
  seconds: 30,
  isTimeUp: (error: unknown) => error instanceof Error && error.message.startsWith('timeout'),
};

/**
 * A side that is so many times its target, or more, is brought to half that by the decoder. The last step down is Pillow's
 * (PictureResizer); what libvips did before it then shows only in the fourth digit of an embedding's cosine, or later.
 */
const LARGE = 4;

export interface DecodeOptions {
  /** Largest width times height. It is compared with the header, before a pixel is decoded. */
  readonly maxPixels: number;
  readonly target?: TargetSize;
}

/**
 * The size a picture will be resized to. A much larger one is then brought near it, never below twice it, while it is
 * decoded, which is several times faster.
 */
export interface TargetSize {
  readonly width: number;
  readonly height: number;
}

/** What a picture's header says. */
export interface ImageHeader {
  readonly format: ImageFormat;
  /** As shown, that is after the EXIF orientation. */
  readonly width: number;
  readonly height: number;
  /** Whether its pixels lie otherwise than they are shown. */
  readonly turned: boolean;
  /** Whether the decoder has to convert its colours to sRGB. */
  readonly otherColours: boolean;
  /** How they are converted here instead, which is faster, where their profile is simple enough. */
  readonly toSrgb: ColourConversion | undefined;
}

export interface DecodedPicture {
  readonly picture: Picture;
  readonly header: ImageHeader;
}

/**
 * Settings of the decoder for this process; call it once when the process starts. `threads` is for one picture: several are
 * decoded at a time, so one is best for many small ones.
 */
export function configureImageDecoding(settings: { readonly threads: number }): void {
  sharp.concurrency(settings.threads);
  // A server sees each picture once: cached operations would only hold memory.
  sharp.cache(false);
}

/**
 * Reads a picture's header and checks its size. Throws an InferenceError: IMAGE_UNREADABLE when the bytes are no picture of
 * IMAGE_FORMATS, IMAGE_TOO_LARGE above `maxPixels`.
 */
export async function readImageHeader(content: Uint8Array, maxPixels: number): Promise<ImageHeader> {
  const format = sniffImageFormat(content);
  if (format === undefined) {
    const came = content.length === 0 ? 'no bytes at all' : describeContent(content);
    throw new InferenceError('IMAGE_UNREADABLE', `Expected a picture (${IMAGE_FORMATS.join(', ')}), got ${came}.`);
  }
  try {
    return toHeader(format, await open(content).metadata(), maxPixels);
  } catch (cause) {
    throw unreadable(format, content, cause);
  }
}

function toHeader(format: ImageFormat, metadata: Metadata, maxPixels: number): ImageHeader {
  const { width, height } = metadata.autoOrient;
  if (width * height > maxPixels) {
    throw new InferenceError(
      'IMAGE_TOO_LARGE',
      `Expected a picture of at most ${maxPixels.toLocaleString('en')} pixels, got ${format} of ${width} x ${height} ` +
        `(${(width * height).toLocaleString('en')} pixels). Send it smaller.`,
    );
  }
  if (width < LEAST_SIDE || height < LEAST_SIDE) {
    throw new InferenceError(
      'IMAGE_UNREADABLE',
      `Expected a picture of at least ${LEAST_SIDE} x ${LEAST_SIDE} pixels, got ${format} of ${width} x ${height}.`,
    );
  }
  const profile = metadata.icc !== undefined && !isSrgbProfile(metadata.icc) ? metadata.icc : undefined;
  const plain = metadata.space === 'srgb' && metadata.channels === 3 && metadata.depth === 'uchar';
  const toSrgb = profile !== undefined && plain ? srgbConversion(profile) : undefined;
  const otherColours = profile !== undefined && toSrgb === undefined;
  return { format, width, height, turned: (metadata.orientation ?? 1) > 1, otherColours, toSrgb };
}

/** Reads a picture's header and decodes it. Throws as readImageHeader and decodePixels do. */
export async function decodeImage(content: Uint8Array, options: DecodeOptions): Promise<DecodedPicture> {
  const header = await readImageHeader(content, options.maxPixels);
  return { header, picture: await decodePixels(content, header, options.target) };
}

/**
 * Decodes a picture on a thread of libuv's pool: upright, 8 bits, sRGB, transparent parts on white, the first frame of an
 * animation. Without a target every pixel is kept. Throws IMAGE_UNREADABLE when the picture is broken or cut off.
 */
export async function decodePixels(content: Uint8Array, header: ImageHeader, target?: TargetSize): Promise<Picture> {
  try {
    const { data, info } = await decodeWithin(DECODE_LIMIT, (seconds) =>
      shrunk(open(content, header), header, target)
        .flatten({ background: '#ffffff' })
        .toColourspace('srgb')
        .raw({ depth: 'uchar' })
        .timeout({ seconds })
        .toBuffer({ resolveWithObject: true }),
    );
    const pixels = asRgb(data, info.channels);
    header.toSrgb?.(pixels);
    return { width: info.width, height: info.height, data: pixels };
  } catch (cause) {
    throw unreadable(header.format, content, cause);
  }
}

/**
 * Brings long sides to twice their target. A JPEG is then decoded at a half, a quarter or an eighth of its size (by its cosine
 * transform), never below twice what is asked for (`fastShrinkOnLoad: false`). Each side by itself: it also bounds what a
 * picture of two by a million pixels costs afterwards.
 */
function shrunk(image: Sharp, header: ImageHeader, target: TargetSize | undefined): Sharp {
  if (target === undefined) return image;
  const width = header.width >= target.width * LARGE ? (target.width * LARGE) / 2 : header.width;
  const height = header.height >= target.height * LARGE ? (target.height * LARGE) / 2 : header.height;
  if (width === header.width && height === header.height) return image;
  return image.resize(width, height, { fit: 'fill', kernel: 'cubic', fastShrinkOnLoad: false });
}

function open(content: Uint8Array, header?: ImageHeader): Sharp {
  // The limit in pixels is ours, with a message of our own; what is cut off or broken is an error, what is merely odd is not.
  const image = sharp(content, {
    limitInputPixels: false,
    failOn: 'error',
    page: 0,
    pages: 1,
    ignoreIcc: header?.otherColours === false,
  });
  return header?.turned === true ? image.autoOrient() : image;
}

/** libvips keeps one channel for some grey pictures. */
function asRgb(data: Uint8Array, channels: number): Uint8Array {
  if (channels === 3) return data;
  const pixels = data.length / channels;
  const rgb = new Uint8Array(pixels * 3);
  for (let pixel = 0; pixel < pixels; pixel += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      rgb[pixel * 3 + channel] = data[pixel * channels + (channels < 3 ? 0 : channel)] ?? 0;
    }
  }
  return rgb;
}

function unreadable(format: ImageFormat, content: Uint8Array, cause: unknown): InferenceError {
  if (cause instanceof InferenceError) return cause;
  // What a library says of it (a function of its C, a TypeError) helps nobody outside: it is for the log.
  return new InferenceError(
    'IMAGE_UNREADABLE',
    `Expected a whole ${format} picture, got ${content.length.toLocaleString('en')} bytes that do not decode. ` +
      'The file may be cut off or damaged.',
    { cause },
  );
}
