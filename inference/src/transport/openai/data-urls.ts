/** Images in data URLs (RFC 2397), which may have parameters: `data:image/png;name=heart.png;base64,...`. */
import { invalidParameter } from './parameters.js';

/** Everything before the data. A text such as "data: 1, 2" has no base64 before its first comma. */
const HEADER = /^\s*data:([^,;]*)(?:;(?:"[^"]*"|[^",])*)?;\s*base64\s*,/i;
/** The same of an image without base64: percent-encoded, as pages have drawings. */
const OTHER_IMAGE = /^\s*data:image\/[\w.+-]+\s*(?:;[^,]*)?,/i;
/** Maximum characters of a header. */
const MAX_HEADER = 1000;
/** Types that do not say what the data are: the image's own format decides, as it does for every image. */
const UNSPECIFIC_TYPES = ['', 'application/octet-stream'];

/**
 * Whether the input is a data URL in base64 rather than a text. Throws INVALID_ARGUMENT for one of another type than an image's, and for an image's
 * that is not base64.
 */
export function isImageUrl(input: string, name: string): boolean {
  const type = headerOf(input)?.[1]?.trim().toLowerCase();
  if (type === undefined) {
    if (!OTHER_IMAGE.test(input.slice(0, MAX_HEADER))) return false;
    throw invalidParameter(name, 'expected the data URL of an image in base64, got one without ";base64".');
  }
  if (type.startsWith('image/') || UNSPECIFIC_TYPES.includes(type)) return true;
  throw invalidParameter(
    name,
    `expected a text or a data URL of an image, got a data URL of type ${type.slice(0, 100)}.`,
  );
}

/** Throws INVALID_ARGUMENT for anything but base64 behind the comma. */
export function decodeDataUrl(url: string, name: string): { readonly content: Uint8Array } {
  const text = url.slice(headerOf(url)?.[0].length);
  const padding = text.indexOf('=');
  // Buffer skips whatever is not base64, and ends at the padding.
  if (/[^\w+/=\s-]/.test(text) || (padding !== -1 && /[^=\s]/.test(text.slice(padding)))) {
    throw invalidParameter(name, 'expected base64 behind the comma of the data URL.');
  }
  return { content: Buffer.from(text, 'base64') };
}

function headerOf(input: string): RegExpExecArray | null {
  return HEADER.exec(input.slice(0, MAX_HEADER));
}
