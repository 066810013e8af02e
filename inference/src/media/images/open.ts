import sharp, { type OutputInfo, type Sharp, type SharpOptions } from 'sharp';
import { decodeWithin } from './decode-limit.js';
import { DecodeTimeUp } from './errors.js';
import type { RawImage } from './raw-image.js';

export interface OpenOptions {
  /** Index of a sub-directory of a TIFF's first page. */
  readonly subifd?: number;
  readonly ignoreIcc?: boolean;
  /**
   * Whether 16-bit colours are converted to sRGB by way of Display P3: sharp converts them to that by their profile, and leaves it at that. For
   * a profile that it certainly knows.
   */
  readonly throughP3?: boolean;
  /** The 8-bit colours that other 16-bit ones are reduced to before their profile is applied. sharp ignores that of 16-bit grey. */
  readonly reducedTo?: 'srgb' | 'b-w';
  /** Default `error`: truncated or broken data is an error, unusual data is not. */
  readonly failOn?: 'error' | 'warning';
  /** Maximum samples per pixel, default 5. */
  readonly maxChannels?: number;
}

/** CMYK and alpha. */
const DEFAULT_CHANNELS = 5;

/** Opens a file with libvips. The pixel limit is checked elsewhere, with a clearer message. */
export function openImage(content: Uint8Array, options: OpenOptions = {}): Sharp {
  const settings: SharpOptions = {
    limitInputPixels: false,
    failOn: options.failOn ?? 'error',
    // The first page, an animation's first frame.
    page: 0,
    pages: 1,
    ignoreIcc: options.ignoreIcc ?? false,
    limitInputChannels: options.maxChannels ?? DEFAULT_CHANNELS,
  };
  if (options.subifd !== undefined) settings.tiff = { subifd: options.subifd };
  const image = sharp(content, settings);
  if (options.throughP3 === true) image.withIccProfile('srgb');
  return options.reducedTo === undefined ? image : image.pipelineColourspace(options.reducedTo);
}

/** Opens decoded pixels for the steps that all formats share. */
export function openRaw({ data, width, height, channels }: RawImage): Sharp {
  return sharp(data, { raw: { width, height, channels }, limitInputPixels: false });
}

/**
 * Time limit of a decoder; beyond it the image is considered malicious. libvips uses the wall clock, so decodeWithin
 * checks the processor time.
 */
const DECODE_LIMIT = { seconds: 30, isTimeUp: (error: unknown) => error instanceof DecodeTimeUp };

/**
 * Decodes an image to samples, by default of 8 bits, within the time limit: all pixels are decoded here. `opened` opens the file for each
 * attempt: that takes half the time of a copy of an opened one.
 */
export async function readSamples(
  opened: () => Sharp,
  depth: 'float' | 'uint' | 'uchar' = 'uchar',
): Promise<{ readonly data: Buffer; readonly info: OutputInfo }> {
  return await decodeWithin(DECODE_LIMIT, async (seconds) => {
    const endMs = performance.now() + seconds * 1000;
    try {
      return await opened().raw({ depth }).timeout({ seconds }).toBuffer({ resolveWithObject: true });
    } catch (cause) {
      // libvips' messages are those of all images that are decoded at the same time.
      const isTimeUp = performance.now() >= endMs && cause instanceof Error && /^timeout: /m.test(cause.message);
      throw isTimeUp ? new DecodeTimeUp(`${seconds} s`, { cause }) : cause;
    }
  });
}

/** Decodes an image to pixels of 8 bits in sRGB. */
export async function readPixels(opened: () => Sharp): Promise<RawImage> {
  const { data, info } = await readSamples(() => opened().toColourspace('srgb'));
  return { data, width: info.width, height: info.height, channels: info.channels as RawImage['channels'] };
}
