import { type FileHandle, open, stat } from 'node:fs/promises';
import { endianness } from 'node:os';
import { isNotFound, messageOf } from '@heimdex/common';
import type { Model } from '../answers.js';
import { writeAtomically } from '../write-atomically.js';

/** An image in an index. Size and modification time detect changes. */
export interface IndexedImage {
  /** Relative to the directory of the index, with `/` separators. */
  readonly path: string;
  readonly sizeBytes: number;
  /** Modification time, milliseconds since the epoch. */
  readonly modifiedMs: number;
}

/** The vectors of images, all by the same model. */
export interface ImageIndex {
  readonly model: Model;
  readonly dimensions: number;
  readonly images: readonly IndexedImage[];
  /** Row-major [images, dimensions], normalized to length 1. */
  readonly vectors: Float32Array;
}

/** Thrown for an index file that is missing, unreadable, damaged or of another format. */
export class ImageIndexError extends Error {
  override readonly name = 'ImageIndexError';

  constructor(
    readonly code: 'NOT_FOUND' | 'UNREADABLE' | 'DAMAGED',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/**
 * File format: 8 bytes `HDXINDEX`, the header length (uint32, little endian), the header (JSON in UTF-8, padded with
 * spaces to align the vectors to 4 bytes), then the vectors (float32, little endian).
 */
const MAGIC = 'HDXINDEX';
const PREFIX_BYTES = MAGIC.length + 4;
const FORMAT_VERSION = 1;
/** Bytes per read of the vectors. Node.js reads at most 2 GiB at once. */
const PART_BYTES = 2 ** 30;

/** Writes an index atomically. */
export async function writeImageIndex(path: string, index: ImageIndex): Promise<void> {
  const { vectors, ...rest } = index;
  const json = JSON.stringify({ version: FORMAT_VERSION, ...rest });
  const spaces = (4 - ((PREFIX_BYTES + Buffer.byteLength(json)) % 4)) % 4;
  const header = Buffer.from(json + ' '.repeat(spaces));
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.write(MAGIC, 'latin1');
  prefix.writeUInt32LE(header.byteLength, MAGIC.length);
  const numbers = Buffer.from(vectors.slice().buffer);
  if (endianness() === 'BE') numbers.swap32();
  await writeAtomically(path, async (file) => {
    for (const part of [prefix, header, numbers]) await file.writeFile(part);
    await file.sync();
  });
}

/** Reads an index. Throws ImageIndexError if it is missing, damaged or unreadable. */
export async function readImageIndex(path: string): Promise<ImageIndex> {
  try {
    // Opening a named pipe without a writer would hold a thread of Node.js, and the process could not exit.
    const stats = await stat(path);
    if (!stats.isFile()) throw new Error('it is not a file');
    const file = await open(path);
    try {
      return await parseIndex(file, path);
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (cause instanceof ImageIndexError) throw cause;
    const code = isNotFound(cause) ? 'NOT_FOUND' : 'UNREADABLE';
    throw new ImageIndexError(code, `${path} cannot be read: ${messageOf(cause)}`, { cause });
  }
}

async function parseIndex(file: FileHandle, path: string): Promise<ImageIndex> {
  const damaged = (what: string, cause?: unknown) =>
    new ImageIndexError('DAMAGED', `${path} is not a valid image index: ${what}`, { cause });
  const { size } = await file.stat();
  const prefix = await readNext(file, Buffer.alloc(Math.min(PREFIX_BYTES, size)));
  if (prefix.toString('latin1', 0, MAGIC.length) !== MAGIC || size < PREFIX_BYTES) {
    throw damaged(`it does not begin with ${MAGIC}`);
  }
  const start = PREFIX_BYTES + prefix.readUInt32LE(MAGIC.length);
  const json = await readNext(file, Buffer.alloc(Math.min(start, size) - PREFIX_BYTES));
  const header = parseHeader(json.toString(), damaged);
  const expected = start + header.images.length * header.dimensions * 4;
  if (size !== expected) throw damaged(`expected ${expected} bytes, got ${size}`);
  const vectors = new Float32Array(header.images.length * header.dimensions);
  for (let at = 0; at < vectors.byteLength; at += PART_BYTES) {
    const part = Buffer.from(vectors.buffer, at, Math.min(PART_BYTES, vectors.byteLength - at));
    await readNext(file, part);
    if (endianness() === 'BE') part.swap32();
  }
  return { ...header, vectors };
}

/** Fills a buffer with the next bytes of a file. */
async function readNext(file: FileHandle, buffer: Buffer): Promise<Buffer> {
  for (let at = 0; at < buffer.byteLength; ) {
    const { bytesRead } = await file.read(buffer, at);
    if (bytesRead === 0) throw new Error('it became shorter while it was read');
    at += bytesRead;
  }
  return buffer;
}

type Header = Omit<ImageIndex, 'vectors'>;

function parseHeader(json: string, damaged: (what: string, cause?: unknown) => ImageIndexError): Header {
  let header: unknown;
  try {
    header = JSON.parse(json);
  } catch (cause) {
    throw damaged('its header is not JSON', cause);
  }
  if (!isHeader(header)) throw damaged(`its header is not of version ${FORMAT_VERSION}`);
  const { model, dimensions, images } = header;
  return { model, dimensions, images };
}

function isHeader(value: unknown): value is Header {
  return (
    hasTypes(value, { version: 'number', dimensions: 'number', model: 'object', images: 'object' }) &&
    value.version === FORMAT_VERSION &&
    Number.isSafeInteger(value.dimensions) &&
    Number(value.dimensions) >= 0 &&
    hasTypes(value.model, { id: 'string', revision: 'string', variant: 'string' }) &&
    Array.isArray(value.images) &&
    value.images.every((image) => hasTypes(image, { path: 'string', sizeBytes: 'number', modifiedMs: 'number' }))
  );
}

function hasTypes<Key extends string>(value: unknown, types: Record<Key, string>): value is Record<Key, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  for (const key in types) {
    const field: unknown = Reflect.get(value, key);
    if (typeof field !== types[key] || field === null) return false;
  }
  return true;
}
