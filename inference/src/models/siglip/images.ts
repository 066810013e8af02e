import { ImageResizer } from '../../media/images/index.js';
import type { ImageItem, VectorResult } from '../items.js';
import type { LoadOptions, Outcome, RunContext } from '../model.js';
import { cancelled, failed, isWaitedFor } from '../outcomes.js';
import { finishVector } from '../vectors.js';
import { type ImageRecipe, prepareImage } from './preprocess.js';
import type { Tower } from './tower.js';

/** Images decoded ahead while earlier ones run; at least as many as the next run needs. */
const AHEAD = 4;
/**
 * Maximum pixels per run on a CPU. A small network spends a tenth of its time on overhead, so small images share a run.
 * With large ones a batch takes the CPU as long as single runs, and more memory. A GPU runs them twice as fast together.
 */
const PIXELS_A_RUN = 80_000;
const MAX_IMAGES_A_RUN = 8;

interface PreparedImage {
  readonly item: ImageItem;
  readonly index: number;
  readonly values: Float32Array;
}

/** Embeds images with the vision tower. */
export class ImageEmbedder {
  readonly #resizer = new ImageResizer();

  constructor(
    private readonly tower: Tower,
    private readonly recipe: ImageRecipe,
    private readonly options: Pick<LoadOptions, 'device' | 'maxImagePixels'>,
  ) {}

  get shared(): boolean {
    return this.tower.shared;
  }

  /** While images run, the next are decoded on other threads. */
  async run(items: readonly ImageItem[], context: RunContext): Promise<readonly Outcome<VectorResult>[]> {
    const outcomes: Outcome<VectorResult>[] = items.map(() => cancelled());
    const prepared: Promise<Outcome<PreparedImage>>[] = [];
    const group = this.#groupSize();
    for (let start = 0; start < items.length; start += group) {
      const end = Math.min(items.length, start + group);
      while (prepared.length < Math.min(items.length, end + Math.max(AHEAD, group))) {
        const index = prepared.length;
        const wanted = isWaitedFor(context, index);
        const image = wanted
          ? this.#prepare(items[index] as ImageItem, index)
          : Promise.resolve(cancelled<PreparedImage>());
        // Awaited only in its turn: until then a defect would be an unhandled rejection, which ends the worker.
        image.catch(() => {});
        prepared.push(image);
      }
      const ready: PreparedImage[] = [];
      for (const [offset, outcome] of (await Promise.all(prepared.slice(start, end))).entries()) {
        if (outcome.ok) ready.push(outcome.value);
        else outcomes[start + offset] = outcome;
      }
      await context.yieldToEventLoop();
      await this.#embed(
        ready.filter(({ index }) => isWaitedFor(context, index)),
        outcomes,
      );
      for (let index = start; index < end; index += 1)
        context.settled?.(index, outcomes[index] as Outcome<VectorResult>);
    }
    return outcomes;
  }

  /** Runs a grey image; returns the vector's dimensions. */
  async probe(): Promise<number> {
    const [row] = await this.#runTower([new Float32Array(3 * this.recipe.width * this.recipe.height)]);
    return row?.length ?? 0;
  }

  close(): Promise<void> {
    return this.tower.close();
  }

  #groupSize(): number {
    if (!this.tower.shared) return 1;
    if (this.options.device === 'cuda') return MAX_IMAGES_A_RUN;
    const pixels = this.recipe.width * this.recipe.height;
    return Math.max(1, Math.min(MAX_IMAGES_A_RUN, Math.floor(PIXELS_A_RUN / pixels)));
  }

  async #prepare(item: ImageItem, index: number): Promise<Outcome<PreparedImage>> {
    try {
      const values = await prepareImage(item.content, this.recipe, this.#resizer, this.options.maxImagePixels);
      return { ok: true, value: { item, index, values } };
    } catch (error) {
      return failed(error);
    }
  }

  async #embed(ready: readonly PreparedImage[], outcomes: Outcome<VectorResult>[]): Promise<void> {
    if (ready.length === 0) return;
    const rows = await this.#runTower(ready.map(({ values }) => values));
    ready.forEach(({ item, index }, row) => {
      const vector = finishVector(rows[row] as Float32Array, item.normalize);
      outcomes[index] = { ok: true, value: { vector, tokenCount: 0, truncated: false } };
    });
  }

  #runTower(images: readonly Float32Array[]): Promise<readonly Float32Array[]> {
    const { width, height } = this.recipe;
    const size = 3 * width * height;
    const [first] = images;
    let values = first as Float32Array;
    if (images.length > 1) {
      values = new Float32Array(images.length * size);
      images.forEach((image, row) => {
        values.set(image, row * size);
      });
    }
    return this.tower.run(values, [images.length, 3, height, width]);
  }
}
