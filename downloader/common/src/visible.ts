/**
 * Characters that a terminal obeys or hides: control characters, marks and overrides of the writing direction, line separators,
 * lone surrogates. The two joiners stay: Persian and Indic words, and some emoji, need them.
 */
const UNSEEN = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/**
 * Escapes untrusted text (file names, a hub's messages) for display in one line: invisible characters are written as in JSON,
 * `\u001b` for an escape, so that JSON stays valid.
 */
export function visible(text: string): string {
  return text.replace(UNSEEN, (character) => NAMED[character] ?? escaped(character));
}

/** Like {@link visible}, for a text with several lines. */
export function visibleLines(text: string): string {
  return text.split('\n').map(visible).join('\n');
}

/** Escapes each character as in JSON: `\\u001b`. */
export function escaped(character: string): string {
  const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}
