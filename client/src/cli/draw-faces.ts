import { extname } from 'node:path';
import { messageOf } from '@heimdex/common';
import type { Sharp } from 'sharp';
import type { Face, FaceDetections, Landmarks, Point } from '../faces.js';
import { CliError, usageError } from './cli-error.js';
import { EXIT_CODES } from './exit-codes.js';
import { numeralsPath } from './numerals.js';
import { writeToFile } from './text-sink.js';

const BOX_COLOR = '#00e05a';
const INK = '#06210f';

const POINT_COLORS = {
  rightEye: '#ff3b30',
  leftEye: '#0a84ff',
  nose: '#ffd60a',
  rightMouthCorner: '#ff2d92',
  leftMouthCorner: '#5ee7ff',
} as const satisfies Record<keyof Landmarks, string>;

/**
 * Loads sharp, which only drawing needs: an optional peer, so that installing the library does not install it.
 * Throws CliError if it is not installed.
 */
async function loadSharp() {
  try {
    return (await import('sharp')).default;
  } catch (error) {
    throw new CliError(`Drawing needs the package sharp: npm install sharp (${messageOf(error)})`, EXIT_CODES.failed);
  }
}

/** The formats of drawings, by extension. */
const FORMATS = {
  '.png': 'png',
  '.jpg': 'jpeg',
  '.jpeg': 'jpeg',
  '.webp': 'webp',
  '.gif': 'gif',
  '.avif': 'avif',
  '.tif': 'tiff',
  '.tiff': 'tiff',
} as const;

function formatOf(path: string): (typeof FORMATS)[keyof typeof FORMATS] | undefined {
  return new Map(Object.entries(FORMATS)).get(extname(path).toLowerCase());
}

/** Fails before any image is sent if faces cannot be drawn, or not into a given `path`. Throws CliError. */
export async function assertCanDraw(path: string | undefined): Promise<void> {
  if (path !== undefined && formatOf(path) === undefined)
    throw usageError(`${path} cannot be drawn: expected a name that ends with ${Object.keys(FORMATS).join(', ')}`);
  await loadSharp();
}

/**
 * Writes a copy of an image with the faces drawn on it: a box with its score, and the five landmarks (the person's right
 * eye red, left eye blue, nose yellow, right mouth corner pink, left mouth corner light blue). The format follows the file
 * extension. The file is written atomically.
 * Throws CliError if it cannot be written, and sharp's error if sharp cannot read the image.
 *
 * @param content the image file; its EXIF orientation is applied, as boxes refer to the displayed image
 */
export async function drawFaces(content: Uint8Array, detections: FaceDetections, path: string): Promise<void> {
  const sharp = await loadSharp();
  const format = formatOf(path) ?? 'png';
  // The server has read it, also if its end is missing.
  const upright = await withBytes(sharp(exifInFront(content), { failOn: 'none' }).rotate());
  // A JPEG has no transparency, which sharp would show as black.
  const drawn = await (format === 'jpeg' ? upright.flatten({ background: '#ffffff' }) : upright)
    .composite([{ input: Buffer.from(facesSvg(detections)) }])
    .toFormat(format)
    .toBuffer();
  await writeToFile(path, (sink) => sink.write(drawn));
}

/**
 * Samples of more bits as the bytes that the server sees: sharp would cut those of 32 off at 255, and leave the colours of 16 in Display P3, to
 * which it converts them by their profile.
 */
async function withBytes(image: Sharp): Promise<Sharp> {
  const { depth, channels, space } = await image.metadata();
  if (space === 'rgb16') return image.pipelineColourspace('srgb');
  if (depth !== 'uint' && depth !== 'float') return image;
  const factors = new Array<number>(channels).fill(depth === 'uint' ? 2 ** -24 : 255);
  const { data, info } = await image
    .linear(factors, new Array<number>(channels).fill(0))
    // Otherwise colours of floats are taken for linear light.
    .toColourspace(space === 'scrgb' ? 'scrgb' : 'srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  return (await loadSharp())(data, { raw: info });
}

/** A PNG with its EXIF data in front of its pixels: sharp does not read them behind, where ImageMagick writes them; the server does. */
function exifInFront(content: Uint8Array): Uint8Array {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  if (bytes.toString('latin1', 1, 8) !== 'PNG\r\n\u001a\n') return content;
  let pixelsAt: number | undefined;
  for (let at = 8; at + 12 <= bytes.length; ) {
    const type = bytes.toString('latin1', at + 4, at + 8);
    const next = at + 12 + bytes.readUInt32BE(at);
    if (type === 'IDAT') pixelsAt ??= at;
    if (type === 'eXIf') {
      if (pixelsAt === undefined) return content;
      return Buffer.concat([bytes.subarray(0, pixelsAt), bytes.subarray(at, next), bytes.subarray(pixelsAt)]);
    }
    at = next;
  }
  return content;
}

/** Returns the boxes and landmarks as an SVG of the image's size. */
function facesSvg({ imageWidth, imageHeight, faces }: FaceDetections): string {
  const unit = Math.max(1, Math.hypot(imageWidth, imageHeight) / 700);
  const drawn = faces.map((face) => faceSvg(face, unit, imageWidth));
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${imageWidth}" height="${imageHeight}">${drawn.join('')}</svg>`;
}

function faceSvg({ box, score, landmarks }: Face, unit: number, imageWidth: number): string {
  const { x, y, width, height } = box;
  const radius = Math.max(1.5 * unit, Math.min(4.5 * unit, width / 28));
  const frame = `x="${fixed(x)}" y="${fixed(y)}" width="${fixed(width)}" height="${fixed(height)}" rx="${fixed(3 * unit)}" fill="none"`;
  const points = Object.entries(POINT_COLORS).map(([name, color]) =>
    dot(landmarks[name as keyof Landmarks], radius, color),
  );
  return [
    `<rect ${frame} stroke="${INK}" stroke-opacity="0.55" stroke-width="${fixed(3.5 * unit)}"/>`,
    `<rect ${frame} stroke="${BOX_COLOR}" stroke-width="${fixed(2 * unit)}"/>`,
    ...points,
    label(score.toFixed(2), x, y, unit, imageWidth),
  ].join('');
}

function dot({ x, y }: Point, radius: number, color: string): string {
  return `<circle cx="${fixed(x)}" cy="${fixed(y)}" r="${fixed(radius)}" fill="${color}" stroke="${INK}" stroke-width="${fixed(radius / 3)}"/>`;
}

/** Returns the score label above the box, or inside it at the upper image edge. */
function label(text: string, boxX: number, boxY: number, unit: number, imageWidth: number): string {
  const numerals = numeralsPath(text, 10 * unit);
  const padding = 4 * unit;
  const plateWidth = numerals.width + 2 * padding;
  const plateHeight = numerals.height + 2 * padding;
  const x = Math.min(Math.max(0, boxX - unit), Math.max(0, imageWidth - plateWidth));
  const y = boxY - plateHeight >= 0 ? boxY - plateHeight : Math.max(0, boxY);
  return [
    `<rect x="${fixed(x)}" y="${fixed(y)}" width="${fixed(plateWidth)}" height="${fixed(plateHeight)}" rx="${fixed(2 * unit)}" fill="${BOX_COLOR}"/>`,
    `<g transform="translate(${fixed(x + padding)} ${fixed(y + padding)})">`,
    `<path d="${numerals.path}" fill="none" stroke="${INK}" stroke-width="${fixed(1.5 * unit)}" stroke-linecap="round" stroke-linejoin="round"/>`,
    '</g>',
  ].join('');
}

function fixed(number: number): string {
  return String(Number(number.toFixed(2)));
}
