import { crop, type Image } from '../../media/images/index.js';

type Size = Pick<Image, 'width' | 'height'>;

/** A longer side is cropped to this many times the shorter one before it is resized, which bounds memory: only the center remains anyway. */
const MAX_RATIO = 16;

/**
 * The size of an image whose shorter side is to be `edge`, with its aspect ratio.
 *
 * Source: transformers, image_transforms.py (get_resize_output_image_size).
 */
export function sizeByShortestEdge({ width, height }: Size, edge: number): Size {
  const resized = Math.trunc((edge * Math.max(width, height)) / Math.min(width, height));
  return width <= height ? { width: edge, height: resized } : { width: resized, height: edge };
}

/** The center of an image or of a size, no side longer than MAX_RATIO times the other one. */
export function withinRatio({ width, height }: Size): Size {
  const longest = Math.min(width, height) * MAX_RATIO;
  return { width: Math.min(width, longest), height: Math.min(height, longest) };
}

/** The center of an image that is at least as large as `size`, as transformers' center_crop. */
export function centerCrop(image: Image, { width, height }: Size): Image {
  if (image.width === width && image.height === height) return image;
  const x = Math.floor((image.width - width) / 2);
  const y = Math.floor((image.height - height) / 2);
  return crop(image, { x, y, width, height });
}
