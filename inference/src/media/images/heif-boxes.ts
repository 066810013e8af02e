import { ascii } from './formats.js';
import { viewOf } from './icc.js';

const MAX_BOXES = 1_000;

/** Whether a file of ISO base media boxes (ISO/IEC 14496-12, section 4.2) has a top-level box of that type. */
export function hasBox(content: Uint8Array, type: string): boolean {
  const view = viewOf(content);
  let at = 0;
  for (let box = 0; box < MAX_BOXES && at + 8 <= content.length; box += 1) {
    if (ascii(content, at + 4, at + 8) === type) return true;
    const short = view.getUint32(at);
    const size = short === 1 && at + 16 <= content.length ? Number(view.getBigUint64(at + 8)) : short;
    if (size < 8) return false;
    at += size;
  }
  return false;
}
