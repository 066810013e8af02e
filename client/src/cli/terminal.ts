import type { Readable, Writable } from 'node:stream';
import pc from 'picocolors';
import { harmless, visible } from './visible.js';

/** An output stream that may be a terminal. */
export type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** Where the command reads and writes. */
export interface CliStreams {
  readonly stdin: Readable;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
}

/** Ways to set text off. */
export type Colors = ReturnType<typeof pc.createColors>;

const STATUS_EVERY_MS = 100;
const ERASE_LINE = '\r\u001b[K';

/** Results to standard output, everything else to standard error; colour and progress on a terminal alone. */
export class Terminal {
  readonly stdin: Readable;
  readonly out: Colors;
  readonly err: Colors;
  /** True when results go to a person's screen. */
  readonly live: boolean;
  readonly #stdout: OutputStream;
  readonly #stderr: OutputStream;
  #status = false;
  #statusMs = 0;

  /** @param plain no colour, whatever the streams are */
  constructor({ stdin, stdout, stderr }: CliStreams, plain: boolean) {
    this.stdin = stdin;
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.live = stdout.isTTY === true;
    this.out = pc.createColors(!plain && stdout.isTTY === true);
    this.err = pc.createColors(!plain && stderr.isTTY === true);
  }

  /** Characters in a line of results. Default 80. */
  get columns(): number {
    return this.#stdout.columns ?? 80;
  }

  /** A chunk of the result, without colours. What a terminal would obey is written out. */
  write(text: string): void {
    this.clearStatus();
    this.#stdout.write(harmless(text, false));
  }

  /** A line of the result. It may have this terminal's colours. */
  line(text = ''): void {
    this.clearStatus();
    this.#stdout.write(harmless(`${text}\n`, this.out.isColorSupported));
  }

  /** One line of JSON. */
  json(value: unknown): void {
    this.line(JSON.stringify(value));
  }

  /** A line for the person who watches. */
  note(text: string): void {
    this.clearStatus();
    this.#stderr.write(harmless(`${text}\n`, this.err.isColorSupported));
  }

  /** Shows what is going on, in a line that the next one replaces, a few times a second at most. Only on a terminal. */
  status(text: string): void {
    const nowMs = performance.now();
    if (this.#stderr.isTTY !== true || (this.#status && nowMs - this.#statusMs < STATUS_EVERY_MS)) return;
    this.#statusMs = nowMs;
    this.#stderr.write(ERASE_LINE + visible(text).slice(0, (this.#stderr.columns ?? 80) - 1));
    this.#status = true;
  }

  /** Takes the line of status() away. */
  clearStatus(): void {
    if (this.#status) this.#stderr.write(ERASE_LINE);
    this.#status = false;
  }
}
