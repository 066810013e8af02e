/** Escapes untrusted text (file names, server messages), which could contain terminal control sequences. */

/**
 * Control and invisible characters: controls, bidirectional marks and overrides, line separators, lone surrogates. The two
 * joiners are allowed: Persian and Indic words, and some emoji, need them.
 */
const UNSEEN = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** Escapes the invisible characters of a single-line text, as `\u001b`. */
export function visible(text: string): string {
  return text.replace(UNSEEN, (character) => NAMED[character] ?? escaped(character));
}

/** Like {@link visible}, but keeps line breaks. */
export function visibleLines(text: string): string {
  return text.split('\n').map(visible).join('\n');
}

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

function escaped(character: string): string {
  const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}
