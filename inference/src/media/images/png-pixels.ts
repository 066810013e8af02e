import { Transformer } from '@napi-rs/image';
import type { Size } from './image.js';
import { barePng } from './png-chunks.js';
import type { RawImage } from './raw-image.js';

/** Where the header chunk has the bits of a sample. PNG (W3C, third edition), section 11.2.1. */
const DEPTH_AT = 24;
const CHANNELS: readonly number[] = [1, 2, 3, 4];

/**
 * The pixels of a PNG of up to 8 bits a sample, as they are stored, on libuv's thread pool: in a half to a sixth of libvips' time
 * (bench/vision/results.md). Undefined for 16 bits, and for a damaged file, of which libvips says whether it can be read.
 */
export async function readPngPixels(content: Uint8Array, { width, height }: Size): Promise<RawImage | undefined> {
  if ((content[DEPTH_AT] ?? 16) > 8) return undefined;
  try {
    const data = await new Transformer(barePng(content)).rawPixels();
    const channels = data.length / (width * height);
    return CHANNELS.includes(channels)
      ? { data, width, height, channels: channels as RawImage['channels'] }
      : undefined;
  } catch {
    return undefined;
  }
}
