import { escaped } from '@heimdex/common';

export { visible, visibleLines } from '@heimdex/common';

/** Of whole output, whoever wrote it: what a terminal obeys. Marks of direction stay, which texts in Arabic or Hebrew may have. */
const OBEYED = /(?![\n\t])[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu;
const ESCAPE = '\u001b';
/** A colour, as this program sets it. */
const COLOR = new RegExp(`(${ESCAPE}\\[\\d{1,2}m)`);

/** Output with everything that a terminal obeys written out, as JSON writes it; `colored`: colours may stay. */
export function harmless(text: string, colored: boolean): string {
  if (!colored) return text.replace(OBEYED, escaped);
  // Every second part is a colour.
  const parts = text.split(COLOR);
  return parts.map((part, place) => (place % 2 === 1 ? part : part.replace(OBEYED, escaped))).join('');
}
