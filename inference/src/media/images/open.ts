import sharp, { type Sharp, type SharpOptions } from 'sharp';
import type { RawImage } from './raw-image.js';

export interface OpenOptions {
  /** Index of the image in the file, from 0. Default: an animation's first frame. */
  readonly page?: number;
  /** Index of that TIFF page's sub-directory. */
  readonly subifd?: number;
  readonly ignoreIcc?: boolean;
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
    page: options.page ?? 0,
    pages: 1,
    ignoreIcc: options.ignoreIcc ?? false,
    limitInputChannels: options.maxChannels ?? DEFAULT_CHANNELS,
  };
  if (options.subifd !== undefined) settings.tiff = { subifd: options.subifd };
  return sharp(content, settings);
}

/** Opens decoded pixels for the steps that all formats share. */
export function openRaw({ data, width, height, channels }: RawImage): Sharp {
  return sharp(data, { raw: { width, height, channels }, limitInputPixels: false });
}
