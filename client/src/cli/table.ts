import { cellWidth, table } from '@heimdex/common';

/**
 * Like table, but drops the columns in `dispensable`, in that order, until the lines fit.
 *
 * @param columns maximum characters per line; undefined: unlimited
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
      kept.flatMap((column, index) => (right.includes(column) ? [index] : [])),
    );
    if (columns === undefined || dropped === dispensable.length || lines.every((line) => cellWidth(line) <= columns))
      return lines;
  }
}

/** Formats a share of 0 to 1 as a bar of at most `cells` characters, in steps of an eighth. */
export function bar(share: number, cells: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * cells * 8);
  return '█'.repeat(Math.floor(eighths / 8)) + (' ▏▎▍▌▋▊▉'[eighths % 8] ?? '').trim();
}
