import type { Area, Image } from './image.js';

/** Crops a rectangle from an image. */
export function crop(image: Image, { x, y, ...size }: Area): Image {
  const data = new Uint8Array(size.width * size.height * 3);
  for (let row = 0; row < size.height; row += 1) {
    const start = ((y + row) * image.width + x) * 3;
    data.set(image.data.subarray(start, start + size.width * 3), row * size.width * 3);
  }
  return { ...size, data };
}
