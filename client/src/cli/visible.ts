/** Text of others (names of files, what a server says) as a person may see it: a terminal obeys what it is shown. */

/**
 * What a terminal obeys or hides: control characters, marks and overrides of the direction of writing, separators of lines, halves of
 * characters. The two joiners stay: Persian and Indian words, and some emoji, need them.
 */
const UNSEEN = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** A name, or another text of one line, with what cannot be seen written out: `\u001b` for an escape. */
export function visible(text: string): string {
  return text.replace(UNSEEN, (character) => NAMED[character] ?? escaped(character));
}

/** As {@link visible}, of a text that may have lines. */
export function visibleLines(text: string): string {
  return text.split('\n').map(visible).join('\n');
}

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

function escaped(character: string): string {
  const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}
