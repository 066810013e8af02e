import type { WriteStream } from 'node:tty';
import type { LogTarget } from '../log.js';

/** A terminal with scrolling lines and, below them, a block that is redrawn. */
export interface Screen extends LogTarget {
  /** Columns of the terminal. */
  readonly columns: number;
  /** Replaces the block at the bottom; an empty list removes it. */
  draw(lines: readonly string[]): void;
}

const ESCAPE = '\u001b[';

/** Creates a screen on a stream. If the stream is not a terminal, `draw` does nothing. */
export function openScreen(
  stream: Pick<WriteStream, 'write'> & Partial<Pick<WriteStream, 'isTTY' | 'columns'>>,
): Screen {
  const isTTY = stream.isTTY === true;
  let shown: readonly string[] = [];
  const erase = () => (shown.length === 0 ? '' : `${ESCAPE}${shown.length}A${ESCAPE}0J`);
  return {
    isTTY,
    get columns() {
      // A terminal without a known size (docker run -t) reports 0.
      return stream.columns || 80;
    },
    write(text) {
      const below = shown.length === 0 ? '' : `${shown.join('\n')}\n`;
      stream.write(`${erase()}${text}${below}`);
    },
    draw(lines) {
      if (!isTTY) return;
      const before = erase();
      shown = lines;
      stream.write(`${before}${lines.length === 0 ? '' : `${lines.join('\n')}\n`}`);
    },
  };
}
