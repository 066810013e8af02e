import type { Size } from './image.js';

/**
 * Pixels of 8 bits, upright, row by row: grey, grey and alpha, RGB or RGBA by `channels`; alpha is not premultiplied.
 */
export interface RawImage extends Size {
  readonly channels: 1 | 2 | 3 | 4;
  readonly data: Uint8Array;
}

/** Reverses alpha premultiplication; alpha is the last of `channels`. */
export function unpremultiply(pixels: Uint8Array, channels: number): void {
  for (let at = 0; at + channels <= pixels.length; at += channels) {
    const alpha = pixels[at + channels - 1] as number;
    if (alpha === 0 || alpha === 255) continue;
    for (let channel = at; channel < at + channels - 1; channel += 1) {
      pixels[channel] = Math.min(255, Math.round(((pixels[channel] as number) * 255) / alpha));
    }
  }
}
