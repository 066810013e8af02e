/** How many columns a text takes on a terminal or in a subtitle. */

/** East Asian Width W and F (Unicode Standard Annex 11) outside of emoji. */
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\u4dbf\u4e00-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6b\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{18dff}\u{1aff0}-\u{1b2fb}\u{1f200}-\u{1f265}\u{20000}-\u{3fffd}]/u;
/** By its nature, or by the selector behind it. */
const EMOJI = /^\p{Emoji_Presentation}|\ufe0f/u;
/** Nothing but marks and format characters. */
const NO_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}]+$/u;
const ASCII = /^[\x20-\x7e]*$/;
/** Made for the first text that needs it: every program and worker imports this file, and making it takes 8 ms. */
let segmenter: Intl.Segmenter | undefined;

function segments(text: string): Intl.Segments {
  segmenter ??= new Intl.Segmenter();
  return segmenter.segment(text);
}

/** Characters as people see them, combined marks included. */
function charactersOf(text: string): string[] {
  return Array.from(segments(text), ({ segment }) => segment);
}

function widthOf(character: string): number {
  if (WIDE.test(character) || EMOJI.test(character)) return 2;
  return NO_WIDTH.test(character) ? 0 : 1;
}

/** Columns of a text without control characters: two for each wide character. */
export function displayWidth(text: string): number {
  if (ASCII.test(text)) return text.length;
  return charactersOf(text).reduce((sum, character) => sum + widthOf(character), 0);
}

/** The longest end of a text that takes at most `columns`. */
export function endOfText(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text;
  const characters = charactersOf(text);
  let start = characters.length;
  for (let left = columns; start > 0; start -= 1) {
    left -= widthOf(characters[start - 1] ?? '');
    if (left < 0) break;
  }
  return characters.slice(start).join('');
}

/** The longest beginning of a text that takes at most `columns`. The rest of a long text is not read: its every character takes its length. */
export function startOfText(text: string, columns: number): string {
  if (ASCII.test(text)) return text.slice(0, Math.max(0, columns));
  let left = columns;
  for (const { segment, index } of segments(text)) {
    left -= widthOf(segment);
    if (left < 0) return text.slice(0, index);
  }
  return text;
}
