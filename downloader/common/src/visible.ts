/**
 * What a terminal obeys or hides: control characters, marks and overrides of the direction of writing, separators of lines, halves of
 * characters. The two joiners stay: Persian and Indian words, and some emoji, need them.
 */
const UNSEEN = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/**
 * Text of others (names of files, what a hub says) as a person may see it, in one line: what cannot be seen is written out as JSON
 * does, `\u001b` for an escape, so that JSON stays what it was.
 */
export function visible(text: string): string {
  return text.replace(UNSEEN, (character) => NAMED[character] ?? escaped(character));
}

/** As {@link visible}, of a text that may have lines. */
export function visibleLines(text: string): string {
  return text.split('\n').map(visible).join('\n');
}

/** Each character as JSON escapes it: `\\u001b`. */
export function escaped(character: string): string {
  const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}
