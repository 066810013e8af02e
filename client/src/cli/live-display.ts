import { displayWidth, endOfText, visible } from '@heimdex/common';
import type { Segment } from '../speech.js';
import type { Terminal } from './terminal.js';
import type { TranscriptWriter } from './transcript-writer.js';

/**
 * Shows live speech on a terminal: final text is printed line by line, at the ends of sentences and pauses; the status line has what
 * is spoken now. Where standard output is not a terminal, only the status line is used.
 */
export class LiveDisplay implements TranscriptWriter {
  readonly #terminal: Terminal;
  /** Final text of the current line. */
  #line = '';

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Shows the text that is not final yet. Empty: nothing is pending, so the line is complete. */
  async partial(text: string): Promise<void> {
    if (text === '') this.#print();
    else this.#show(text);
  }

  async segment({ text }: Segment): Promise<void> {
    this.#line += text;
    const isSentence = /[.?!。？！]["'”’)]*$/u.test(this.#line);
    if (isSentence || displayWidth(this.#line) >= this.#terminal.columns) this.#print();
    else this.#show('');
  }

  async summary(): Promise<void> {
    this.#print();
  }

  async abort(): Promise<void> {
    this.#print();
  }

  #print(): void {
    this.#terminal.clearStatus();
    const line = this.#line.trim();
    this.#line = '';
    if (line !== '') this.#terminal.line(line);
  }

  /** Shows the end of a text that is wider than the terminal. */
  #show(pending: string): void {
    this.#terminal.clearStatus();
    this.#terminal.status(endOfText(visible(`${this.#line}${pending}`.trim()), this.#terminal.statusColumns));
  }
}
