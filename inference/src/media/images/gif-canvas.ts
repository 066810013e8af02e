import type { Sharp } from 'sharp';
import { viewOf } from '../bytes.js';
import type { Size } from './image.js';
import { openImage, openRaw, readPixels } from './open.js';

/** Position of the first frame on a GIF's canvas. */
export interface GifFrame extends Size {
  readonly left: number;
  readonly top: number;
}

/**
 * Returns the position of the first frame if it does not cover the canvas, otherwise undefined (also for a broken file,
 * which the decoder reports). Layout: GIF89a, sections 18, 20 and 23 to 26.
 */
export function partialGifFrame(content: Uint8Array): GifFrame | undefined {
  if (content.length < 13) return undefined;
  const view = viewOf(content);
  const canvas = { width: view.getUint16(6, true), height: view.getUint16(8, true) };
  const at = firstDescriptor(content);
  if (at === undefined || at + 10 > content.length) return undefined;
  const frame = {
    left: view.getUint16(at + 1, true),
    top: view.getUint16(at + 3, true),
    width: view.getUint16(at + 5, true),
    height: view.getUint16(at + 7, true),
  };
  const covers = frame.left === 0 && frame.top === 0 && frame.width >= canvas.width && frame.height >= canvas.height;
  return covers ? undefined : frame;
}

/** Where the first frame begins, behind any extensions; undefined if it is not found. */
export function firstDescriptor(content: Uint8Array): number | undefined {
  let at = 13 + colourTableBytes(content[10]);
  while (content[at] === 0x21) {
    at += 2;
    while ((content[at] ?? 0) > 0) at = nextBlock(content, at);
    at += 1;
  }
  return content[at] === 0x2c ? at : undefined;
}

/** Of the colour table that the flags of a header or of a frame name. */
export function colourTableBytes(flags = 0): number {
  return flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0;
}

/** Where the block of data at `at` ends. */
export function nextBlock(content: Uint8Array, at: number): number {
  return at + 1 + (content[at] ?? 0);
}

/**
 * Draws the first frame on a white canvas. Browsers leave the uncovered part transparent, whatever background colour
 * the file names, and transparency is white here. The decoder alone would fill it with black.
 */
export async function openGifCanvas(content: Uint8Array, frame: GifFrame): Promise<Sharp> {
  const image = await readPixels(() => openImage(content));
  const { data, width, height, channels } = image;
  const left = Math.min(frame.left, width);
  const right = Math.min(frame.left + frame.width, width);
  for (let y = 0; y < height; y += 1) {
    const row = data.subarray(y * width * channels, (y + 1) * width * channels);
    if (y < frame.top || y >= frame.top + frame.height) row.fill(255);
    else row.fill(255, 0, left * channels).fill(255, right * channels);
  }
  return openRaw(image);
}
