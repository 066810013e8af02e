import { stripVTControlCharacters } from 'node:util';
import pc from 'picocolors';

/** A stream that may be a terminal. */
export type ShowStream = NodeJS.WritableStream & { readonly isTTY?: boolean };

const LABEL_WIDTH = 15;
const BAR_CELLS = 16;

/** How the demo looks: numbered steps, commands, aligned lines; colour on a terminal alone. */
export class Show {
  readonly color: ReturnType<typeof pc.createColors>;
  readonly #stream: ShowStream;
  #steps = 0;

  /** @param plain no colour, whatever the stream is */
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

  /** Begins a numbered step. */
  step(text: string): void {
    this.#steps += 1;
    this.line();
    this.line(`${this.color.cyan(this.color.bold(String(this.#steps).padStart(2)))} ${this.color.bold(text)}`);
  }

  /** A command as a person would type it. */
  command(text: string): void {
    this.line(`   ${this.color.dim('$')} ${text}`);
  }

  /** A label and what belongs to it. A long label's end counts: it is a file's name. */
  item(label: string, text: string): void {
    const short = label.length > LABEL_WIDTH ? `…${label.slice(1 - LABEL_WIDTH)}` : label;
    this.line(`   ${this.color.dim(pad(short, LABEL_WIDTH))}  ${text}`);
  }

  /** Further text below an item. */
  more(text: string): void {
    this.item('', text);
  }

  /** Rows of a label and aligned columns. */
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

/** 41392136 is `41.4 MB`. */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** 1234.5 ms is `1.23 s`, 12.3 ms is `12 ms`. */
export function time(ms: number): string {
  return ms < 1000 ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

/** `1 face`, `2 faces`. */
export function counted(count: number, noun: string): string {
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
