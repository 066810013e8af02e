import { table } from '@heimdex/common';
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

  /** Prints a label, without colours of its own, and a text; no label below an item. Long labels are file names and are shortened at the start. */
  item(label: string, text: string): void {
    const short = label.length > LABEL_WIDTH ? `…${label.slice(1 - LABEL_WIDTH)}` : label;
    this.line(`   ${this.color.dim(short.padEnd(LABEL_WIDTH))}  ${text}`);
  }

  /** Prints rows of a label and aligned columns. */
  rows(rows: readonly (readonly [string, ...string[]])[]): void {
    const texts = table(rows.map(([, ...cells]) => cells));
    for (const [index, [label]] of rows.entries()) this.item(label, texts[index] ?? '');
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
