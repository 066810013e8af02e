import sharp, { type Sharp, type SharpOptions } from 'sharp';
import type { RawImage } from './raw-image.js';

export interface OpenOptions {
  /** Which image of the file, from 0; an animation's first frame by default. */
  readonly page?: number;
  /** Which of that TIFF page's own sub-directories. */
  readonly subifd?: number;
  readonly ignoreIcc?: boolean;
  /** `error`, the default: what is cut off or broken is an error, what is merely odd is not. */
  readonly failOn?: 'error' | 'warning';
  /** Samples of a pixel, 5 by default. */
  readonly maxChannels?: number;
}

/** Four inks and alpha. */
const DEFAULT_CHANNELS = 5;

/** Opens a file with libvips. The limit in pixels is ours, with a message of our own. */
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

/** Opens decoded pixels, for the rest of the way, which is the same for every format. */
export function openRaw({ data, width, height, channels }: RawImage): Sharp {
  return sharp(data, { raw: { width, height, channels }, limitInputPixels: false });
}
