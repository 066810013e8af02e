import { crop, type Image, type Size } from '../../media/images/index.js';

/** How far a filter reaches at most, in pixels of the coarser of two sizes: Lanczos. */
const MAX_SUPPORT = 3;

/**
 * The size of an image whose shorter side is to be `edge`, with its aspect ratio.
 *
 * Source: transformers, image_transforms.py (get_resize_output_image_size).
 */
export function sizeByShortestEdge({ width, height }: Size, edge: number): Size {
  const resized = Math.trunc((edge * Math.max(width, height)) / Math.min(width, height));
  return width <= height ? { width: edge, height: resized } : { width: resized, height: edge };
}

/**
 * The part of an image, as its extent, that is left of it if it is resized to `resized` and then cropped to `cropped`, as transformers'
 * center_crop. Only this part needs to be resized, so a line of a million pixels takes no memory.
 */
export function centerOf(image: Image, resized: Size, cropped: Size): Image {
  const whole = image.extent ?? { x: 0, y: 0, width: image.width, height: image.height };
  const columns = centerOfLine(
    { start: whole.x, length: whole.width, pixels: image.width },
    resized.width,
    cropped.width,
  );
  const rows = centerOfLine(
    { start: whole.y, length: whole.height, pixels: image.height },
    resized.height,
    cropped.height,
  );
  const part = crop(image, { x: columns.first, y: rows.first, width: columns.count, height: rows.count });
  return { ...part, extent: { x: columns.start, y: rows.start, width: columns.length, height: rows.length } };
}

interface Line {
  /** Where the whole begins and how long it is, in pixels; fractions. */
  readonly start: number;
  readonly length: number;
  readonly pixels: number;
}

/** The pixels that the center is made from, and where it begins among these. */
function centerOfLine(
  line: Line,
  resized: number,
  cropped: number,
): Omit<Line, 'pixels'> & { first: number; count: number } {
  const scale = line.length / resized;
  const start = line.start + Math.floor((resized - cropped) / 2) * scale;
  const length = cropped * scale;
  const margin = MAX_SUPPORT * Math.max(1, scale);
  const first = Math.max(0, Math.floor(start - margin));
  const count = Math.min(line.pixels, Math.ceil(start + length + margin)) - first;
  return { first, count, start: start - first, length };
}
