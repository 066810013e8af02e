import sharp, { type Sharp } from 'sharp';
import { Semaphore } from '../../semaphore.js';
import { DecodeTimeUp, imageUnreadable } from './errors.js';
import { type ImageHeader, openUpright, readImageHeader } from './header.js';
import type { Area, Image, Size } from './image.js';
import { endsInZeros, repairJpegEnd } from './jpeg-end.js';
import { readSamples } from './open.js';
import { readablePng } from './png-chunks.js';
import { repairPngEnd } from './png-end.js';
import { readPngPixels } from './png-pixels.js';

/**
 * A side this many times its target, or more, is reduced by the decoder to half this factor. The last reduction is
 * Pillow's (ImageResizer), so the earlier one by libvips affects an embedding's cosine only in the fourth digit or
 * later.
 */
const LARGE = 4;
/** A JPEG with sides of this many times the target has far fewer pixels to decode: a quarter of them each way. */
const SCALED_JPEG = 8;
/** Below this ImageResizer alone takes less time; at 1280 x 720 libvips takes a tenth less of the whole. */
const MIN_REDUCED_PIXELS = 500_000;

/**
 * Images of more pixels are decoded one at a time: some need ten to seventeen bytes a pixel (interlaced, progressive, many samples), and
 * those of one call would take the worker's memory together.
 */
const MAX_TOGETHER_PIXELS = 25_000_000;
const largeImages = new Semaphore(1);

/** EXIF orientations that show what is stored last, a column or a row, as the first column, and as the first row. */
const LAST_COLUMN_FIRST: readonly number[] = [2, 3, 6, 7];
const LAST_ROW_FIRST: readonly number[] = [3, 4, 7, 8];

export interface DecodeOptions {
  /** Maximum width times height. Checked against the header before decoding. */
  readonly maxPixels: number;
  /** The size that the image will be resized to. A much larger one is reduced during decoding to at least twice this, several times faster. */
  readonly target?: Size;
}

export interface DecodedImage {
  readonly image: Image;
  readonly header: ImageHeader;
}

/**
 * Configures the decoder for this process; call it once at startup. One thread per image: several images are decoded at a time, and
 * decompression, most of the work, does not divide. A second thread costs a tenth more CPU and ends no sooner, at 12 million pixels either.
 */
export function configureImageDecoding(): void {
  sharp.concurrency(1);
  // A server sees each image once: cached operations would only use memory.
  sharp.cache(false);
  // A JPEG with a gain map is read as any other: libultrahdr parses more of a file and accepts one with missing data.
  sharp.block({ operation: ['VipsForeignLoadUhdr'] });
}

/** Reads an image's header and decodes it. Throws like readImageHeader and decodePixels. */
export async function decodeImage(content: Uint8Array, options: DecodeOptions): Promise<DecodedImage> {
  const header = await readImageHeader(content, options.maxPixels);
  return { header, image: await decodePixels(content, header, options.target) };
}

/**
 * Decodes an image on libuv's thread pool, or on a thread of thread/: upright, 8 bits, sRGB, transparency on white, the
 * first frame of an animation. Without a target all pixels are kept. Throws IMAGE_UNREADABLE when the image is broken
 * or truncated.
 */
export async function decodePixels(content: Uint8Array, header: ImageHeader, target?: Size): Promise<Image> {
  const release = isLarge(header) ? await largeImages.acquire() : undefined;
  try {
    if (header.format === 'JPEG') return await decodeJpeg(content, header, target);
    if (header.format === 'PNG') return await decodePng(content, header, target);
    return await decodeWhole(content, header, target);
  } catch (cause) {
    throw imageUnreadable(header.format, content, cause);
  } finally {
    release?.();
  }
}

function isLarge({ width, height }: Size): boolean {
  return width * height > MAX_TOGETHER_PIXELS;
}

async function decodeWhole(content: Uint8Array, header: ImageHeader, target: Size | undefined): Promise<Image> {
  if (header.load === undefined) return await render(() => open(content, header, 'error'), header, target);
  const image = await header.load(content);
  return await render(() => image.clone(), header, target);
}

async function decodePng(content: Uint8Array, header: ImageHeader, target: Size | undefined): Promise<Image> {
  const stored = isUsual(header, target) ? await readPngPixels(content, header) : undefined;
  if (stored !== undefined) {
    return { width: stored.width, height: stored.height, data: shownRgb(stored.data, stored.channels, header) };
  }
  try {
    return await decodeWhole(content, header, target);
  } catch (cause) {
    if (cause instanceof DecodeTimeUp) throw cause;
    const repaired = await repairPngEnd(readablePng(content), header.width * header.height);
    if (repaired === undefined) throw cause;
    return await decodeWhole(repaired, header, target);
  }
}

/** Whether the pixels are wanted as they are stored, but for colours that are converted here. */
function isUsual(header: ImageHeader, target: Size | undefined): boolean {
  const isWanted = target === undefined || isWhole(header, reducedSize(header, target));
  return isWanted && header.orientation === 1 && header.colours.ignoreIcc === true && !isLarge(header);
}

/**
 * libjpeg only warns about missing data and fills it with grey. Such warnings are errors here; those about unusual
 * files are ignored. Which one came is not known: images that are decoded at the same time share libvips' messages.
 */
async function decodeJpeg(content: Uint8Array, header: ImageHeader, target: Size | undefined): Promise<Image> {
  const decode = (file: Uint8Array, failOn: 'error' | 'warning'): Promise<Image> =>
    render(() => open(file, header, failOn), header, target);
  if (!endsInZeros(content)) {
    try {
      return await decode(content, 'warning');
    } catch (cause) {
      if (cause instanceof DecodeTimeUp) throw cause;
    }
  }
  return await decode(await repairJpegEnd(content), 'error');
}

async function render(opened: () => Sharp, header: ImageHeader, target: Size | undefined): Promise<Image> {
  const size = target === undefined ? header : reducedSize(header, target);
  // Colours are converted before they are mixed with white: here, or by sharp at the end.
  const mixedLater = header.toSrgb !== undefined || header.colours.throughP3 === true;
  const shown = (image: Sharp): Sharp => (mixedLater ? image : onWhite(image, header));
  const { data, info } = await readSamples(() => shown(shrunk(opened(), header, size)).toColourspace('srgb'));
  const image = { width: info.width, height: info.height, data: shownRgb(data, info.channels, header) };
  return header.format === 'JPEG' ? withExtent(image, header, dctReduction(header, size)) : image;
}

/**
 * Long sides are reduced to twice their target. Sides are reduced independently, which also bounds the later cost of an
 * image of two by a million pixels.
 */
function reducedSize(header: ImageHeader, target: Size): Size {
  if (isBetterWhole(header, target)) return header;
  return {
    width: header.width >= target.width * LARGE ? (target.width * LARGE) / 2 : header.width,
    height: header.height >= target.height * LARGE ? (target.height * LARGE) / 2 : header.height,
  };
}

/**
 * A JPEG is decoded at a half, a quarter or an eighth of its size (in the DCT), never below the size that is wanted.
 * `fastShrinkOnLoad: false` would leave the last factor of two to libvips: up to 1.9 times the processor time, and
 * pixels no nearer to those of the whole image. The reduction of a WebP while it is decoded is coarser.
 */
function shrunk(image: Sharp, header: ImageHeader, { width, height }: Size): Sharp {
  if (isWhole(header, { width, height })) return image;
  const fastShrinkOnLoad = header.format === 'JPEG';
  return image.resize(width, height, { fit: 'fill', kernel: 'cubic', fastShrinkOnLoad });
}

function isWhole(header: ImageHeader, { width, height }: Size): boolean {
  return width === header.width && height === header.height;
}

/** By how much a JPEG is reduced in the DCT, as sharp decides it (its pipeline.cc, jpegShrinkOnLoad). */
function dctReduction(header: ImageHeader, { width, height }: Size): number {
  const shrink = Math.min(header.width / width, header.height / height);
  const factor = [8, 4, 2].find((each) => shrink >= each) ?? 1;
  return factor > 1 && Math.trunc(shrink) === factor ? factor / 2 : factor;
}

/** Tells how far the image reaches where the DCT's reduction does not divide a side: libvips leaves out the pixels that remain. */
function withExtent(image: Image, { width, height, orientation }: ImageHeader, reduction: number): Image {
  const across = (width / (Math.floor(width / reduction) * reduction)) * image.width;
  const down = (height / (Math.floor(height / reduction) * reduction)) * image.height;
  if (across === image.width && down === image.height) return image;
  const extent: Area = {
    x: LAST_COLUMN_FIRST.includes(orientation) ? image.width - across : 0,
    y: LAST_ROW_FIRST.includes(orientation) ? image.height - down : 0,
    width: across,
    height: down,
  };
  return { ...image, extent };
}

/** Colours are converted pixel by pixel, of fewer pixels if they are reduced before. */
function isBetterWhole({ format, width, height, toSrgb }: ImageHeader, target: Size): boolean {
  if (width * height >= MIN_REDUCED_PIXELS || toSrgb !== undefined) return false;
  return format !== 'JPEG' || Math.min(width / target.width, height / target.height) < SCALED_JPEG;
}

function onWhite(image: Sharp, { opaque }: ImageHeader): Sharp {
  return opaque ? image : image.flatten({ background: '#ffffff' });
}

/** Colours as they are stored to sRGB, and then what is left of transparency, the last of two or four samples, to white. */
function shownRgb(samples: Uint8Array, channels: number, { toSrgb }: ImageHeader): Uint8Array {
  const rgb = asRgb(samples, channels);
  toSrgb?.(rgb);
  if (channels % 2 === 0) mixWithWhite(rgb, samples, channels);
  return rgb;
}

function mixWithWhite(rgb: Uint8Array, samples: Uint8Array, channels: number): void {
  for (let at = 0, alphaAt = channels - 1; at < rgb.length; at += 3, alphaAt += channels) {
    const alpha = samples[alphaAt] as number;
    if (alpha === 255) continue;
    const white = 255 * (255 - alpha);
    for (let channel = at; channel < at + 3; channel += 1) {
      rgb[channel] = divide255((rgb[channel] as number) * alpha + white);
    }
  }
}

/** Rounds a quotient of at most 255 times 255 without a division. */
function divide255(dividend: number): number {
  const half = dividend + 128;
  return (half + (half >> 8)) >> 8;
}

function open(content: Uint8Array, header: ImageHeader, failOn: 'error' | 'warning'): Sharp {
  return openUpright(content, { failOn, ...header.colours }, header.orientation);
}

/** Without alpha, the last of two or four samples. Grey is one sample, or one and alpha. */
function asRgb(samples: Uint8Array, channels: number): Uint8Array {
  if (channels === 3) return samples;
  const rgb = new Uint8Array((samples.length / channels) * 3);
  const [green, blue] = channels < 3 ? [0, 0] : [1, 2];
  for (let at = 0, from = 0; at < rgb.length; at += 3, from += channels) {
    rgb[at] = samples[from] as number;
    rgb[at + 1] = samples[from + green] as number;
    rgb[at + 2] = samples[from + blue] as number;
  }
  return rgb;
}
