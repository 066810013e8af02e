import { displayWidth, endOfText, startOfText, visible } from '@heimdex/common';

/** State of one progress bar. */
export interface BarState {
  readonly name: string;
  readonly haveBytes: number;
  readonly sizeBytes: number;
  /** Text after the bar: size, rate, time left. */
  readonly suffix: string;
}

/** Least and most columns. In a narrow terminal the name gives way first, then the bar. */
const NAME_COLUMNS = [20, 34] as const;
const BAR_COLUMNS = [4, 24] as const;
/** The share, with blanks. */
const SHARE_COLUMNS = 8;
/** A size with rate and time left. All lines of a download leave as much, so that their bars are one below the other. */
const SUFFIX_COLUMNS = 35;

/** Formats one line with a bar, never wider than the terminal. */
export function barLine(state: BarState, columns: number): string {
  const share = state.sizeBytes === 0 ? 1 : Math.min(1, state.haveBytes / state.sizeBytes);
  const lineColumns = Math.max(10, columns - 1);
  const room = lineColumns - SHARE_COLUMNS - (state.suffix === '' ? 0 : SUFFIX_COLUMNS);
  const nameColumns = within(room - BAR_COLUMNS[1], NAME_COLUMNS);
  const barColumns = within(room - nameColumns, BAR_COLUMNS);
  const filled = Math.round(share * barColumns);
  const bar = `${'█'.repeat(filled)}${'░'.repeat(barColumns - filled)}`;
  const percent = `${Math.floor(share * 100)}%`.padStart(4);
  const name = shorten(visible(state.name), nameColumns);
  const padding = ' '.repeat(nameColumns - displayWidth(name));
  return startOfText(`${name}${padding} ${bar} ${percent}  ${state.suffix}`, lineColumns);
}

function within(columns: number, [least, most]: readonly [number, number]): number {
  return Math.max(least, Math.min(most, columns));
}

/** Keeps the end of a name, which is more specific than its beginning. */
function shorten(name: string, columns: number): string {
  return displayWidth(name) <= columns ? name : `…${endOfText(name, columns - 1)}`;
}
