/** What a terminal of a width shows of the bytes that a program writes to it. */

/** Hangul, kana, Han and full-width forms take two columns. */
const WIDE = /[\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Han}\uff01-\uff60\u3001\u3002]/u;
const ESCAPE = '\u001b';
const SEQUENCE = new RegExp(`${ESCAPE}\\[[\\d;?]*([A-Za-z])`, 'y');

/** The rows, from the first one written, without trailing spaces. */
export function screenOf(output: string, columns: number): string[] {
  /** A cell is a character; the second cell of a wide one is empty. */
  const rows: string[][] = [[]];
  let column = 0;
  const put = (character: string) => {
    const width = WIDE.test(character) ? 2 : 1;
    if (column + width > columns) newRow();
    const row = rows.at(-1) ?? [];
    while (row.length < column) row.push(' ');
    row.splice(column, width, character, ...(width === 2 ? [''] : []));
    column += width;
  };
  const newRow = () => {
    rows.push([]);
    column = 0;
  };
  for (let at = 0; at < output.length; ) {
    SEQUENCE.lastIndex = at;
    const sequence = SEQUENCE.exec(output);
    if (sequence !== null) {
      if (sequence[1] === 'K') rows.at(-1)?.splice(column);
      at = SEQUENCE.lastIndex;
      continue;
    }
    const character = String.fromCodePoint(output.codePointAt(at) ?? 0);
    at += character.length;
    if (character === '\r') column = 0;
    else if (character === '\n') newRow();
    else put(character);
  }
  return rows.map((row) => row.join('').trimEnd());
}
