/** Escapes untrusted text (file names, server messages), which could contain terminal control sequences. */
import { escaped } from '@heimdex/common';

export { visible, visibleLines } from '@heimdex/common';

/** Control characters in output. Directional marks are allowed: Arabic and Hebrew text may contain them. */
const CONTROL = /(?![\n\t])[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu;
const ESCAPE = '\u001b';
/** A colour sequence of this program. */
const COLOR = new RegExp(`(${ESCAPE}\\[\\d{1,2}m)`);

/** Escapes the control characters of output, as JSON does. With `colored`, colour sequences are kept. */
export function escapeControls(text: string, colored: boolean): string {
  if (!colored) return text.replace(CONTROL, escaped);
  // Parts with an odd index are colours.
  const parts = text.split(COLOR);
  return parts.map((part, index) => (index % 2 === 1 ? part : part.replace(CONTROL, escaped))).join('');
}
