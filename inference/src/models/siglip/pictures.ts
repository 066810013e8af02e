import type { ImageItem, VectorResult } from '../items.js';
import type { Outcome, RunContext } from '../model.js';
import { cancelled, failed, isWanted } from '../outcomes.js';
import { finishVector } from './postprocess.js';
import { type PictureRecipe, preparePicture } from './preprocess.js';
import type { Tower } from './tower.js';

/** Pictures that are being decoded while an earlier one runs. */
const AHEAD = 3;

type Prepared = { readonly values: Float32Array } | { readonly outcome: Outcome<VectorResult> };

/** Pictures to vectors, through the vision tower. */
export class PictureEmbedder {
  readonly #tower: Tower;
  readonly #recipe: PictureRecipe;
  readonly #maxPixels: number;

  constructor(tower: Tower, recipe: PictureRecipe, maxPixels: number) {
    this.#tower = tower;
    this.#recipe = recipe;
    this.#maxPixels = maxPixels;
  }

  get shared(): boolean {
    return this.#tower.shared;
  }

  /**
   * One at a time: a batch of pictures costs the CPU what they cost alone, and while one runs the next are decoded on other
   * threads.
   */
  async run(items: readonly ImageItem[], context: RunContext): Promise<readonly Outcome<VectorResult>[]> {
    const prepared: Promise<Prepared>[] = [];
    const outcomes: Outcome<VectorResult>[] = [];
    for (const [index, item] of items.entries()) {
      while (prepared.length < Math.min(items.length, index + 1 + AHEAD)) {
        prepared.push(this.#prepare(items[prepared.length] as ImageItem, isWanted(context, prepared.length)));
      }
      const ready = await (prepared[index] as Promise<Prepared>);
      await context.breathe();
      if ('outcome' in ready) outcomes.push(ready.outcome);
      else if (!isWanted(context, index)) outcomes.push(cancelled());
      else outcomes.push({ ok: true, value: await this.#embed(ready.values, item.normalize) });
    }
    return outcomes;
  }

  /** Runs a grey picture; gives the length of its vector. */
  async probe(): Promise<number> {
    const { width, height } = this.#recipe;
    return (await this.#embed(new Float32Array(3 * width * height), true)).vector.length;
  }

  close(): Promise<void> {
    return this.#tower.close();
  }

  async #prepare(item: ImageItem, wanted: boolean): Promise<Prepared> {
    if (!wanted) return { outcome: cancelled() };
    try {
      return { values: await preparePicture(item.content, this.#recipe, this.#maxPixels) };
    } catch (error) {
      return { outcome: failed(error) };
    }
  }

  async #embed(values: Float32Array, normalize: boolean): Promise<VectorResult> {
    const [row] = await this.#tower.run(values, [1, 3, this.#recipe.height, this.#recipe.width]);
    return { vector: finishVector(row as Float32Array, normalize), tokenCount: 0, truncated: false };
  }
}
