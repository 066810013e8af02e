import type { Readable, Writable } from 'node:stream';
import { escaped, startOfText, visible } from '@heimdex/common';
import pc from 'picocolors';
import type { CliEnvironment } from './config.js';
import { toJson } from './to-json.js';

/** An output stream that may be a terminal. */
export type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** Standard streams of the command. */
export interface CliStreams {
  readonly stdin: Readable;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
}

/** Text styles. */
export type Colors = ReturnType<typeof pc.createColors>;

const STATUS_INTERVAL_MS = 100;
/** Goes to the start of the line and erases it. */
export const ERASE_LINE = '\r\u001b[K';
/** Control characters in output. Directional marks are allowed: Arabic and Hebrew text may contain them. */
const CONTROL = /(?![\n\t])[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu;
const ESCAPE = '\u001b';
/** A colour sequence of this program. */
const COLOR = new RegExp(`(${ESCAPE}\\[\\d{1,2}m)`);

/** Writes results to standard output and messages to standard error; colour and progress only on a terminal. */
export class Terminal {
  readonly stdin: Readable;
  readonly out: Colors;
  readonly err: Colors;
  /** True if standard output is a terminal. */
  readonly live: boolean;
  readonly #stdout: OutputStream;
  readonly #stderr: OutputStream;
  /** Whether there is a progress line. */
  readonly #redraws: boolean;
  #status = false;
  #statusMs = 0;

  constructor({ stdin, stdout, stderr }: CliStreams, { plain, dumb }: Pick<CliEnvironment, 'plain' | 'dumb'>) {
    this.stdin = stdin;
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.live = stdout.isTTY === true;
    this.#redraws = stderr.isTTY === true && !dumb;
    this.out = pc.createColors(!plain && stdout.isTTY === true);
    this.err = pc.createColors(!plain && stderr.isTTY === true);
  }

  /** Columns of standard output. Default 80, also of a terminal without a known size (docker run -t), which reports 0. */
  get columns(): number {
    return this.#stdout.columns || 80;
  }

  /** Columns of the progress line: a line as wide as the terminal would go on in the next one. */
  get statusColumns(): number {
    return Math.max(1, (this.#stderr.columns || 80) - 1);
  }

  /** Writes a chunk of the result, without colours. Control characters are escaped. */
  write(text: string): void {
    this.clearStatus();
    this.#stdout.write(escapeControls(text, false));
  }

  /** Writes a line of the result, which may be coloured. */
  line(text = ''): void {
    this.clearStatus();
    this.#stdout.write(escapeControls(`${text}\n`, this.out.isColorSupported));
  }

  /** Writes one line of JSON. */
  json(value: unknown): void {
    this.line(toJson(value));
  }

  /** Writes a line to standard error. */
  error(text: string): void {
    this.clearStatus();
    this.#stderr.write(escapeControls(`${text}\n`, this.err.isColorSupported));
  }

  /** Shows a progress line that the next one replaces, rate-limited, only on a terminal. */
  status(text: string): void {
    const nowMs = performance.now();
    if (!this.#redraws || (this.#status && nowMs - this.#statusMs < STATUS_INTERVAL_MS)) return;
    this.#statusMs = nowMs;
    this.#stderr.write(ERASE_LINE + startOfText(visible(text), this.statusColumns));
    this.#status = true;
  }

  /** Erases the progress line. */
  clearStatus(): void {
    if (this.#status) this.#stderr.write(ERASE_LINE);
    this.#status = false;
  }
}

/** Escapes the control characters of output, as JSON does. With `colored`, colour sequences are kept. */
export function escapeControls(text: string, colored: boolean): string {
  if (!colored) return text.replace(CONTROL, escaped);
  // Parts with an odd index are colours.
  const parts = text.split(COLOR);
  return parts.map((part, index) => (index % 2 === 1 ? part : part.replace(CONTROL, escaped))).join('');
}
