import { InferenceError } from '../../errors.js';
import { FORMAT_NAMES, type ImageFormat } from './formats.js';
import { unusualJpeg } from './jpeg-scans.js';

/** A valid file of an unsupported kind: `what` completes "got ...", `advice` says what to send. */
export function refuseImage(format: ImageFormat, what: string, advice: string): InferenceError {
  return new InferenceError(
    'IMAGE_UNREADABLE',
    `Expected a supported ${FORMAT_NAMES[format]} image, got ${what}. ${advice}`,
  );
}

/**
 * The error of a truncated or damaged file, or of a JPEG that the decoder does not know. The decoder's message stays in `cause`
 * because it names internals.
 */
export function imageUnreadable(format: ImageFormat, content: Uint8Array, cause: unknown): InferenceError {
  if (cause instanceof InferenceError) return cause;
  const kind = format === 'JPEG' ? unusualJpeg(content) : undefined;
  if (kind !== undefined) return refuseImage(format, kind, 'Convert it to a usual JPEG of 8 bits a sample, or to PNG.');
  return new InferenceError(
    'IMAGE_UNREADABLE',
    `Expected a whole ${FORMAT_NAMES[format]} image, got ${content.length.toLocaleString('en')} bytes that do not decode: ` +
      `${errorMessage(cause)}.`,
    { cause },
  );
}

/** A decoder was stopped by its time limit. */
export class DecodeTimeUp extends Error {}

/** A file with damage found by this program's readers. */
export class DamagedImage extends Error {}

/** The words of libvips say nothing of this file: images that are decoded at the same time share its messages. */
function errorMessage(cause: unknown): string {
  if (cause instanceof DamagedImage) return cause.message;
  if (cause instanceof DecodeTimeUp) return 'decoding took too long';
  return 'the file may be cut off or damaged';
}

/** Throws IMAGE_TOO_LARGE above `maxPixels`, IMAGE_UNREADABLE below 2 x 2 pixels. */
export function checkImageSize(format: ImageFormat, width: number, height: number, maxPixels: number): void {
  const name = FORMAT_NAMES[format];
  if (width * height > maxPixels) {
    throw new InferenceError(
      'IMAGE_TOO_LARGE',
      `Expected an image of at most ${maxPixels.toLocaleString('en')} pixels, got ${name} of ${width} x ${height} ` +
        `(${(width * height).toLocaleString('en')} pixels). Send it smaller.`,
    );
  }
  if (width < MIN_SIDE || height < MIN_SIDE) {
    throw new InferenceError(
      'IMAGE_UNREADABLE',
      `Expected an image of at least ${MIN_SIDE} x ${MIN_SIDE} pixels, got ${name} of ${width} x ${height}.`,
    );
  }
}

/** An image one pixel wide is a tracking pixel or a mistake. */
const MIN_SIDE = 2;
