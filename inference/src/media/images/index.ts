export { crop } from './crop.js';
export {
  configureImageDecoding,
  type DecodedImage,
  type DecodeOptions,
  decodeImage,
  decodePixels,
} from './decode.js';
export { FloatPlanes } from './float-planes.js';
export { IMAGE_FORMATS, type ImageFormat } from './formats.js';
export { type ImageHeader, readImageHeader } from './header.js';
export type { Area, Image, Size } from './image.js';
export { ImageInterpolator } from './interpolate.js';
export { ImageResizer } from './resize.js';
export type { ResampleFilter } from './taps.js';
export { type PlaneOptions, writePlanes } from './tensor.js';
