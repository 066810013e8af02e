import { refuseImage } from './errors.js';
import { ascii } from './formats.js';
import { viewOf } from './icc.js';

/** Of an animation. libvips looks each up from the first one on, which took 97 s for 100,000 frames in 5 MB, before any time limit applies. */
const MAX_FRAMES = 5_000;
const RIFF_HEADER_BYTES = 12;
const CHUNK_HEADER_BYTES = 8;

/** Throws IMAGE_UNREADABLE for a WebP of more frames than MAX_FRAMES. Layout: RFC 9649, sections 2.3, 2.4 and 2.7.1.4. */
export function checkWebpFrames(content: Uint8Array): void {
  const view = viewOf(content);
  let frames = 0;
  for (let at = RIFF_HEADER_BYTES; at + CHUNK_HEADER_BYTES <= content.length; ) {
    if (ascii(content, at, at + 4) === 'ANMF') frames += 1;
    const size = view.getUint32(at + 4, true);
    at += CHUNK_HEADER_BYTES + size + (size % 2);
  }
  if (frames <= MAX_FRAMES) return;
  throw refuseImage(
    'WebP',
    `an animation of ${frames.toLocaleString('en')} frames, more than ${MAX_FRAMES.toLocaleString('en')}`,
    'Send its first frame.',
  );
}
