export {
  configureImageDecoding,
  type DecodedPicture,
  type DecodeOptions,
  decodeImage,
  decodePixels,
  type TargetSize,
} from './decode.js';
export { IMAGE_FORMATS, type ImageFormat } from './formats.js';
export { type ImageHeader, readImageHeader } from './header.js';
export { interpolatePicture } from './interpolate.js';
export type { Picture } from './picture.js';
export { PictureResizer } from './resize.js';
export { RESAMPLE_FILTERS, type ResampleFilter } from './taps.js';
export { type PlaneOptions, writePlanes } from './tensor.js';
