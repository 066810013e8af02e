import { existsSync } from 'node:fs';
import { appendFile, readFile } from 'node:fs/promises';

/** The transcript of each copy by each program, kept in a file line by line, so that an interrupted run resumes. */
export class Texts {
  #path;
  #texts;

  constructor(path, texts) {
    this.#path = path;
    this.#texts = texts;
  }

  static async open(path) {
    const lines = existsSync(path) ? (await readFile(path, 'utf8')).split('\n').filter((line) => line !== '') : [];
    return new Texts(
      path,
      new Map(
        lines.map((line) => {
          const { program, name, text } = JSON.parse(line);
          return [`${program} ${name}`, text];
        }),
      ),
    );
  }

  /** Undefined if it was not transcribed yet. */
  of(program, name) {
    return this.#texts.get(`${program} ${name}`);
  }

  async keep(program, name, text) {
    this.#texts.set(`${program} ${name}`, text);
    await appendFile(this.#path, `${JSON.stringify({ program, name, text })}\n`);
  }
}
