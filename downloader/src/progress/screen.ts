import type { WriteStream } from 'node:tty';
import type { LogTarget } from '../log.js';

/** A terminal with scrolling lines and, below them, a block that is redrawn. */
export interface Screen extends LogTarget {
  /** Columns of the terminal. */
  readonly columns: number;
  /** Whether `draw` shows anything: not without a terminal, nor on one that knows no sequences (TERM=dumb), as in Emacs. */
  readonly draws: boolean;
  /** Replaces the block at the bottom; an empty list removes it. */
  draw(lines: readonly string[]): void;
}

const ESCAPE = '\u001b[';

/** Creates a screen on a stream. */
export function openScreen(
  stream: Pick<WriteStream, 'write'> & Partial<Pick<WriteStream, 'isTTY' | 'columns'>>,
  env: NodeJS.ProcessEnv = {},
): Screen {
  const isTTY = stream.isTTY === true;
  const draws = isTTY && env.TERM !== 'dumb';
  let shown: readonly string[] = [];
  const erase = () => (shown.length === 0 ? '' : `${ESCAPE}${shown.length}A${ESCAPE}0J`);
  return {
    isTTY,
    draws,
    get columns() {
      // A terminal without a known size (docker run -t) reports 0.
      return stream.columns || 80;
    },
    write(text) {
      const below = shown.length === 0 ? '' : `${shown.join('\n')}\n`;
      stream.write(`${erase()}${text}${below}`);
    },
    draw(lines) {
      if (!draws) return;
      const before = erase();
      shown = lines;
      stream.write(`${before}${lines.length === 0 ? '' : `${lines.join('\n')}\n`}`);
    },
  };
}
