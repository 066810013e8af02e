import { displayWidth, endOfText, startOfText, visible } from '@heimdex/common';

/** State of one progress bar. */
export interface BarState {
  readonly name: string;
  readonly haveBytes: number;
  readonly sizeBytes: number;
  /** Text after the bar: size, rate, time left. */
  readonly suffix: string;
}

const NAME_COLUMNS = 34;
const BAR_COLUMNS = 24;

/** Formats one line with a bar, never wider than the terminal. */
export function barLine(state: BarState, columns: number): string {
  const share = state.sizeBytes === 0 ? 1 : Math.min(1, state.haveBytes / state.sizeBytes);
  const filled = Math.round(share * BAR_COLUMNS);
  const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR_COLUMNS - filled)}`;
  const percent = `${Math.floor(share * 100)}%`.padStart(4);
  const name = shorten(visible(state.name), NAME_COLUMNS);
  const padding = ' '.repeat(NAME_COLUMNS - displayWidth(name));
  return startOfText(`${name}${padding} ${bar} ${percent}  ${state.suffix}`, Math.max(10, columns - 1));
}

/** Keeps the end of a name, which is more specific than its beginning. */
function shorten(name: string, columns: number): string {
  return displayWidth(name) <= columns ? name : `…${endOfText(name, columns - 1)}`;
}
