import type { CompileStep } from '@heimdex/compiler';
import type { Logger } from '../log.js';
import { barLine } from './bar.js';
import type { Screen } from './screen.js';

/** Start and length of each phase as fractions of a graph's time, measured on SigLIP so400m. */
const PHASES = {
  float32: { words: 'float32 answers', begin: 0, length: 0.5 },
  build: { words: 'writing', begin: 0.5, length: 0.35 },
  compare: { words: 'comparing', begin: 0.85, length: 0.15 },
} as const satisfies Record<CompileStep['phase'], object>;

/** Shows the progress of a model's compile: a bar on a terminal, otherwise one line per phase. */
export class CompileProgress {
  readonly #screen: Screen;
  readonly #log: Logger;
  readonly #model: string;

  constructor(model: string, screen: Screen, log: Logger) {
    this.#model = model;
    this.#screen = screen;
    this.#log = log;
  }

  onStep({ role, phase, share, graph, graphs }: CompileStep): void {
    const { words, begin, length } = PHASES[phase];
    const name = `${role} (${graph} of ${graphs}): ${words}`;
    if (this.#screen.draws) {
      const done = (graph - 1 + begin + length * share) / graphs;
      this.#screen.draw([barLine({ name, haveBytes: done, sizeBytes: 1, suffix: '' }, this.#screen.columns)]);
    } else if (share === 0) {
      this.#log.info({ event: 'compile-step', model: this.#model, role, phase }, `  ${name}`);
    }
  }

  /** Stops drawing. Idempotent. */
  stop(): void {
    this.#screen.draw([]);
  }
}
