import { ascii } from './formats.js';
import { viewOf } from './icc.js';

/** Chunks of compressed text. */
const TEXT: readonly string[] = ['zTXt', 'iTXt'];
const SIGNATURE_BYTES = 8;
/** Length, type and checksum. */
const CHUNK_BYTES = 12;

/**
 * A PNG without the compressed text in front of its pixels, which nothing here reads. libpng inflates and keeps up to 1,000 texts of 8 MB
 * each, before any time limit applies: a file of 7 MB took 4 GB. Layout: PNG (W3C, third edition), sections 5.3 and 11.3.3.
 */
export function withoutCompressedText(content: Uint8Array): Uint8Array {
  const view = viewOf(content);
  const kept: Uint8Array[] = [];
  let from = 0;
  for (let at = SIGNATURE_BYTES; at + CHUNK_BYTES <= content.length; ) {
    const type = ascii(content, at + 4, at + 8);
    if (type === 'IDAT') break;
    const next = at + CHUNK_BYTES + view.getUint32(at);
    if (TEXT.includes(type)) {
      kept.push(content.subarray(from, at));
      from = next;
    }
    at = next;
  }
  return kept.length === 0 ? content : Buffer.concat([...kept, content.subarray(from)]);
}
