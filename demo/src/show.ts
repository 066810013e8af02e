import { stripVTControlCharacters } from 'node:util';
import pc from 'picocolors';

/** A stream that may be a terminal. */
export type ShowStream = NodeJS.WritableStream & { readonly isTTY?: boolean };

const LABEL_WIDTH = 15;
const BAR_CELLS = 16;

/** Formats the demo's output: numbered steps, commands, aligned lines; colour only on a terminal. */
export class Show {
  readonly color: ReturnType<typeof pc.createColors>;
  readonly #stream: ShowStream;
  #steps = 0;

  /** @param plain disables colour */
  constructor(stream: ShowStream, plain: boolean) {
    this.#stream = stream;
    this.color = pc.createColors(!plain && stream.isTTY === true);
  }

  line(text = ''): void {
    this.#stream.write(text === '' ? '\n' : `${text}\n`);
  }

  title(text: string, below: string): void {
    this.line();
    this.line(`  ${this.color.bold(text)}`);
    this.line(`  ${this.color.dim(below)}`);
  }

  /** Starts a numbered step. */
  step(text: string): void {
    this.#steps += 1;
    this.line();
    this.line(`${this.color.cyan(this.color.bold(String(this.#steps).padStart(2)))} ${this.color.bold(text)}`);
  }

  /** Prints a command line. */
  command(text: string): void {
    this.line(`   ${this.color.dim('$')} ${text}`);
  }

  /** Prints a label and a text. Long labels are file names and are shortened at the start. */
  item(label: string, text: string): void {
    const short = label.length > LABEL_WIDTH ? `…${label.slice(1 - LABEL_WIDTH)}` : label;
    this.line(`   ${this.color.dim(pad(short, LABEL_WIDTH))}  ${text}`);
  }

  /** Prints further text below an item. */
  more(text: string): void {
    this.item('', text);
  }

  /** Prints rows of a label and aligned columns. */
  rows(rows: readonly (readonly [string, ...string[]])[]): void {
    const widths = columnWidths(rows.map(([, ...cells]) => cells));
    for (const [label, ...cells] of rows) {
      this.item(
        label,
        cells
          .map((cell, column) => pad(cell, widths[column] ?? 0))
          .join('  ')
          .trimEnd(),
      );
    }
  }

  good(text: string): string {
    return `${this.color.green('✔')} ${text}`;
  }

  bad(text: string): string {
    return `${this.color.yellow('✘')} ${text}`;
  }

  bar(share: number): string {
    return this.color.cyan('█'.repeat(Math.round(Math.min(1, Math.max(0, share)) * BAR_CELLS)).padEnd(BAR_CELLS));
  }
}

/** Formats 41392136 as `41.4 MB`. */
export function formatMegabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Formats 1234.5 ms as `1.23 s`, 12.3 ms as `12 ms`. */
export function formatMs(ms: number): string {
  return ms < 1000 ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

/** Formats a count with its noun: `1 face`, `2 faces`. */
export function formatCount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - length(text)));
}

function length(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}

function columnWidths(rows: readonly (readonly string[])[]): number[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, length(cell));
  }
  return widths;
}
