import type { Sharp } from 'sharp';
import { openImage, openRaw } from '../open.js';
import { ImageThreads } from './image-threads.js';
import type { DecodeRequest } from './messages.js';

const threads = new ImageThreads();

/** Decodes a format that libvips does not read, on a thread, and opens its pixels. Rejects like ImageThread. */
export async function openOnThread(request: DecodeRequest): Promise<Sharp> {
  const content = await threads.decode(request);
  return 'raw' in content ? openRaw(content.raw) : openImage(content.png);
}
