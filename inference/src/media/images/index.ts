/** What GetServerInfo says of `image_formats`. Recognised by content, never by name. */
export const IMAGE_FORMATS = ['JPEG', 'PNG', 'WebP', 'GIF', 'AVIF', 'TIFF'] as const;
export type ImageFormat = (typeof IMAGE_FORMATS)[number];
