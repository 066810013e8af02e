import { stripVTControlCharacters } from 'node:util';

/** Rows as aligned columns, two spaces apart; columns listed in `right` are set to the right. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, width(cell));
  }
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const padding = ' '.repeat((widths[column] ?? 0) - width(cell));
        return right.includes(column) ? padding + cell : cell + padding;
      })
      .join('  ')
      .trimEnd(),
  );
}

/**
 * As table, but columns listed in `dispensable` are left out, the first ones first, until the lines fit.
 *
 * @param columns characters in a line; undefined: any number
 */
export function fitted(
  rows: readonly (readonly string[])[],
  right: readonly number[],
  dispensable: readonly number[],
  columns: number | undefined,
): string[] {
  for (let dropped = 0; ; dropped += 1) {
    const without = dispensable.slice(0, dropped);
    const kept = [...(rows[0] ?? []).keys()].filter((column) => !without.includes(column));
    const lines = table(
      rows.map((row) => kept.map((column) => row[column] ?? '')),
      kept.flatMap((column, place) => (right.includes(column) ? [place] : [])),
    );
    if (columns === undefined || dropped === dispensable.length || lines.every((line) => width(line) <= columns))
      return lines;
  }
}

/** A bar of at most `cells` characters for a share of 0 to 1, in steps of an eighth. */
export function bar(share: number, cells: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * cells * 8);
  return '█'.repeat(Math.floor(eighths / 8)) + (' ▏▎▍▌▋▊▉'[eighths % 8] ?? '').trim();
}

function width(cell: string): number {
  return [...stripVTControlCharacters(cell)].length;
}
