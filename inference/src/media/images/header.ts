import type { Metadata, Sharp } from 'sharp';
import { InferenceError } from '../../errors.js';
import { latin1 } from '../bytes.js';
import { readBmpHeader } from './bmp/header.js';
import { boxAt } from './boxes.js';
import { type ColourConversion, srgbConversion, stretchLevels } from './colours.js';
import { checkImageSize, DamagedImage, imageUnreadable, refuseImage } from './errors.js';
import { checkExif, withoutExif } from './exif.js';
import { brandsOf, detectImageFormat, FORMAT_NAMES, IMAGE_FORMATS, type ImageFormat } from './formats.js';
import { openGifCanvas, partialGifFrame } from './gif-canvas.js';
import { withGifEnd } from './gif-end.js';
import { checkItems, checkParts } from './heif-limits.js';
import {
  codecOf,
  countItems,
  factsOfLarge,
  type HeicFacts,
  isLimitedGrey,
  isPremultiplied,
  MAX_VIPS_ITEMS,
} from './heif-properties.js';
import { isOnItsSide, openTurned, type Turn, turnsOf, withoutTurns } from './heif-turns.js';
import { isProfile } from './icc.js';
import type { Size } from './image.js';
import { beforePixels } from './jpeg-scans.js';
import { readJxlSize } from './jxl-header.js';
import { type OpenOptions, openImage, openRaw, readPixels } from './open.js';
import { describeContent } from './other-content.js';
import { readablePng } from './png-chunks.js';
import { unpremultiply } from './raw-image.js';
import { isSrgbProfile } from './srgb-profile.js';
import { MAX_JXL_PIXELS } from './thread/limits.js';
import { openOnThread } from './thread/open.js';
import { withOneDirectory } from './tiff/directories.js';
import { chooseTiffPage, MAX_SAMPLES } from './tiff/page.js';
import { needsOwnSamples, openTiffSamples } from './tiff/samples.js';
import { readableWebp } from './webp-frames.js';

/** The facts in an image's header. The size is as shown, after EXIF orientation. */
export interface ImageHeader extends Size {
  readonly format: ImageFormat;
  /** Of EXIF, 1 to 8: above 1 the stored pixels are not upright. */
  readonly orientation: number;
  /** Whether its pixels, as opened, certainly have no alpha channel. */
  readonly opaque: boolean;
  /** How to open it: whether the decoder must convert its colours to sRGB. */
  readonly colours: Pick<OpenOptions, 'ignoreIcc' | 'reducedTo' | 'throughP3'>;
  /** A faster colour conversion, if the profile is simple enough. */
  readonly toSrgb: ColourConversion | undefined;
  /** How to open the pixels upright, if not by libvips alone. */
  readonly load: ((content: Uint8Array) => Promise<Sharp>) | undefined;
}

/** Maximum bytes of unpacked TIFF samples per allowed pixel. */
const TIFF_BYTES_PER_PIXEL = 8;

/**
 * Reads an image's header and checks its size. Throws an InferenceError: IMAGE_UNREADABLE when the bytes are not one of
 * IMAGE_FORMATS or an unsupported kind; IMAGE_TOO_LARGE above `maxPixels`.
 */
export async function readImageHeader(content: Uint8Array, maxPixels: number): Promise<ImageHeader> {
  const format = detectImageFormat(content);
  if (format === undefined) {
    const came = content.length === 0 ? 'no bytes at all' : describeContent(content);
    const names = IMAGE_FORMATS.map((name) => FORMAT_NAMES[name]).join(', ');
    throw new InferenceError('IMAGE_UNREADABLE', `Expected an image (${names}), got ${came}.`);
  }
  try {
    if (WITH_EXIF.includes(format)) checkExif(format === 'JPEG' ? beforePixels(content) : content);
    const header = await READERS[format](content, maxPixels);
    checkImageSize(header.format, header.width, header.height, maxPixels);
    if (format === 'AVIF' || format === 'HEIC') checkParts(content, maxPixels);
    return header;
  } catch (cause) {
    throw imageUnreadable(format, content, cause);
  }
}

/** Formats whose EXIF libvips reads. That of AVIF and HEIC is hidden from it. */
const WITH_EXIF: readonly ImageFormat[] = ['JPEG', 'PNG', 'WebP'];

const AS_STORED: ImageHeader['colours'] = { ignoreIcc: true };

type HeaderReader = (content: Uint8Array, maxPixels: number) => ImageHeader | Promise<ImageHeader>;

const READERS: Readonly<Record<ImageFormat, HeaderReader>> = {
  JPEG: async (content) => fromMetadata('JPEG', await openImage(content).metadata()),
  PNG: pngHeader,
  WebP: (content) => headerOf('WebP', content, readableWebp),
  GIF: gifHeader,
  AVIF: (content) => heifHeader(content, 'AVIF'),
  HEIC: (content) => heifHeader(content, 'HEIC'),
  TIFF: tiffHeader,
  BMP: bmpHeader,
  JXL: jxlHeader,
};

function pngHeader(content: Uint8Array): Promise<ImageHeader> {
  if (latin1(content, 12, 16) === 'CgBI') {
    const advice = 'Take it from the design instead, or convert it (pngcrush -revert-iphone-optimizations).';
    throw refuseImage('PNG', 'one in a form of Apple (CgBI) that only iOS apps have', advice);
  }
  return headerOf('PNG', content, readablePng);
}

/** Of a file of which libvips gets only what `readable` leaves. */
async function headerOf(
  format: ImageFormat,
  content: Uint8Array,
  readable: (content: Uint8Array) => Uint8Array,
): Promise<ImageHeader> {
  const plain = readable(content);
  const header = fromMetadata(format, await openImage(plain).metadata());
  if (plain === content) return header;
  return { ...header, load: async (bytes) => openUpright(readable(bytes), header.colours, header.orientation) };
}

function fromMetadata(format: ImageFormat, metadata: Metadata): ImageHeader {
  const { width, height } = metadata.autoOrient;
  const profile = metadata.icc !== undefined && !isSrgbProfile(metadata.icc) ? metadata.icc : undefined;
  const plain = metadata.space === 'srgb' && metadata.channels === 3 && metadata.depth === 'uchar';
  const toSrgb = profile !== undefined && plain ? srgbConversion(profile) : undefined;
  const colours = profile === undefined || toSrgb !== undefined ? AS_STORED : convertedFrom(metadata);
  const orientation = metadata.orientation ?? 1;
  return { format, width, height, orientation, opaque: !metadata.hasAlpha, colours, toSrgb, load: undefined };
}

/** Colours that the decoder converts by their profile. Of 16 bits it must certainly know it: otherwise it leaves them as they are. */
function convertedFrom({ space, icc }: Metadata): ImageHeader['colours'] {
  if (space === 'grey16') return { ignoreIcc: false, reducedTo: 'b-w' };
  if (space !== 'rgb16') return { ignoreIcc: false };
  const known = icc !== undefined && isProfile(icc) && srgbConversion(icc) !== undefined;
  return known ? { ignoreIcc: false, throughP3: true } : { ignoreIcc: false, reducedTo: 'srgb' };
}

function bmpHeader(content: Uint8Array): ImageHeader {
  const { width, height, profile } = readBmpHeader(content);
  return ownHeader('BMP', width, height, profile);
}

function jxlHeader(content: Uint8Array, maxPixels: number): ImageHeader {
  const size = readJxlSize(content);
  if (size === undefined) throw new DamagedImage('its header is damaged or not whole');
  checkImageSize('JXL', size.width, size.height, Math.min(maxPixels, MAX_JXL_PIXELS));
  // Its decoder outputs sRGB.
  return ownHeader('JXL', size.width, size.height, undefined);
}

/** For formats with a separate decoder, which outputs 8 bits, upright. */
function ownHeader(
  format: 'BMP' | 'HEIC' | 'JXL',
  width: number,
  height: number,
  profile: Uint8Array | undefined,
): ImageHeader {
  const toSrgb = profile === undefined || isSrgbProfile(profile) ? undefined : srgbConversion(profile);
  const load = (content: Uint8Array): Promise<Sharp> => openOnThread({ format, content, width, height });
  return { format, width, height, orientation: 1, opaque: false, colours: AS_STORED, toSrgb, load };
}

async function gifHeader(content: Uint8Array): Promise<ImageHeader> {
  const header = await headerOf('GIF', content, withGifEnd);
  const frame = partialGifFrame(content);
  if (frame === undefined) return header;
  return { ...header, opaque: false, load: (bytes) => openGifCanvas(withGifEnd(bytes), frame) };
}

/** libvips parses HEIF with any codec but decodes only AV1. */
async function heifHeader(content: Uint8Array, format: 'AVIF' | 'HEIC'): Promise<ImageHeader> {
  if (boxAt(content, ['meta']) === undefined) {
    if (boxAt(content, ['moov']) === undefined) throw new DamagedImage('it has no image that can be found');
    throw refuseImage(format, 'an image sequence without a still image', 'Send its first frame as a still image.');
  }
  checkItems(content);
  const codec = codecOf(content) ?? 'HEVC';
  if (codec !== 'AV1' && codec !== 'HEVC') {
    throw refuseImage(format, `a HEIF image with ${codec} inside`, 'Send it as HEIC (HEVC), AVIF or JPEG.');
  }
  const readable = (bytes: Uint8Array): Uint8Array => withoutExif(withBrand(bytes, codec === 'AV1' ? 'avif' : 'heic'));
  const plain = readable(content);
  const large = factsOfLarge(plain);
  if (large !== undefined) {
    const all = turnsOf(plain, false);
    return heicHeader({ ...large, ...swappedIf(isOnItsSide(all), large) }, needsOwnTurns(large) ? all : []);
  }
  const items = countItems(plain);
  if (items > MAX_VIPS_ITEMS) {
    throw refuseImage(
      format,
      `one of ${items} tiles and other parts`,
      `Write it with at most ${MAX_VIPS_ITEMS} of them.`,
    );
  }
  const metadata = await openImage(plain).metadata();
  // libheif scales alpha to a cropped image.
  const crops = metadata.hasAlpha === true && codec === 'AV1';
  const turns = needsOwnTurns(metadata) ? turnsOf(plain, crops) : [];
  if (codec === 'HEVC') return heicHeader({ ...metadata.autoOrient, profile: metadata.icc }, turns);
  const read = fromMetadata('AVIF', metadata);
  const header = isLimitedGrey(content) ? { ...read, toSrgb: stretched(read.toSrgb) } : read;
  const { orientation, colours } = header;
  const upright = (bytes: Uint8Array): Sharp => openUpright(readable(bytes), colours, orientation);
  if (!header.opaque && isPremultiplied(content)) {
    return withTurns({ ...header, load: (bytes) => openUnpremultiplied(() => upright(bytes)) }, turns);
  }
  return plain === content && turns.length === 0
    ? header
    : withTurns({ ...header, load: async (bytes) => upright(bytes) }, turns);
}

/** libheif leaves the levels of grey as they are stored. */
function stretched(toSrgb: ColourConversion | undefined): ColourConversion {
  return (pixels) => {
    stretchLevels(pixels);
    toSrgb?.(pixels);
  };
}

/** Of an image shown as `facts` say; `turns`: those that its decoder does not see. */
function heicHeader({ width, height, profile }: HeicFacts, turns: readonly Turn[]): ImageHeader {
  const stored = swappedIf(isOnItsSide(turns), { width, height });
  return withTurns({ ...ownHeader('HEIC', stored.width, stored.height, profile), width, height }, turns);
}

function swappedIf(swapped: boolean, { width, height }: Size): Size {
  return swapped ? { width: height, height: width } : { width, height };
}

/** libheif turns alpha only if the file says so of its image too, and mixes the outermost colours of an odd size. */
function needsOwnTurns({ hasAlpha, width, height }: Size & { hasAlpha?: boolean }): boolean {
  return hasAlpha === true || width % 2 === 1 || height % 2 === 1;
}

function withTurns(header: ImageHeader, turns: readonly Turn[]): ImageHeader {
  const { load } = header;
  if (load === undefined || turns.length === 0) return header;
  return { ...header, load: async (bytes) => openTurned(await load(withoutTurns(bytes, turns)), turns) };
}

/** libvips leaves the colours of an AVIF as they are, so putting them on white would multiply them by alpha twice. */
async function openUnpremultiplied(opened: () => Sharp): Promise<Sharp> {
  const image = await readPixels(opened);
  unpremultiply(image.data, image.channels);
  return openRaw(image);
}

/**
 * The file as a still image of a codec by its first brand. libvips knows no other sign of a codec, and not every brand. Of an animation the
 * still image is read, which is the first frame.
 */
function withBrand(content: Uint8Array, brand: 'avif' | 'heic'): Uint8Array {
  if (brandsOf(content)[0] === brand) return content;
  const copy = Buffer.from(content);
  copy.write(brand, 8, 'latin1');
  return copy;
}

async function tiffHeader(content: Uint8Array, maxPixels: number): Promise<ImageHeader> {
  const page = chooseTiffPage(content);
  if (page === undefined) throw new DamagedImage('it has no image that can be found. The file may be cut off');
  const options = page.subifd === undefined ? {} : { subifd: page.subifd };
  const alone = (bytes: Uint8Array): Uint8Array => withOneDirectory(bytes, page.directory);
  const metadata = await openImage(alone(content), { ...options, maxChannels: MAX_SAMPLES }).metadata();
  const header = fromMetadata('TIFF', metadata);
  const { orientation, colours } = header;
  if (!needsOwnSamples(page)) {
    return { ...header, load: async (bytes) => openUpright(alone(bytes), { ...options, ...colours }, orientation) };
  }
  const profile = metadata.icc === undefined || isSrgbProfile(metadata.icc) ? undefined : metadata.icc;
  const toSrgb = profile === undefined || page.colourSamples < 3 ? undefined : srgbConversion(profile);
  const maxBytes = maxPixels * TIFF_BYTES_PER_PIXEL;
  const pixels = header.width * header.height;
  const turned = orientation > 1;
  const load = (bytes: Uint8Array): Promise<Sharp> => openTiffSamples(alone(bytes), page, { maxBytes, pixels, turned });
  return { ...header, opaque: false, colours: AS_STORED, toSrgb, load };
}

export function openUpright(content: Uint8Array, options: OpenOptions, orientation: number): Sharp {
  const image = openImage(content, options);
  return orientation > 1 ? image.autoOrient() : image;
}
