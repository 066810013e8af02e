import { stripVTControlCharacters } from 'node:util';
import { displayWidth } from './display-width.js';

/** Formats rows as aligned columns, two spaces apart; columns in `right` are right-aligned. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cellWidth(cell));
  }
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const padding = ' '.repeat((widths[column] ?? 0) - cellWidth(cell));
        return right.includes(column) ? padding + cell : cell + padding;
      })
      .join('  ')
      .trimEnd(),
  );
}

/** Columns of a text that may have colours. */
export function cellWidth(cell: string): number {
  return displayWidth(stripVTControlCharacters(cell));
}
