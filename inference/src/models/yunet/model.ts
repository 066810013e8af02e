import { configureImageDecoding, PictureResizer } from '../../media/images/index.js';
import type { FaceItem, FaceResult } from '../items.js';
import type { LoadedModel, LoadOptions, ModelFacts, ModelFiles, Outcome, RunContext } from '../model.js';
import { cancelled, failed, isWanted } from '../outcomes.js';
import { FaceNetwork } from './network.js';
import { decodeFaces } from './postprocess.js';
import { letterbox, type PreparedPicture, preparePicture } from './preprocess.js';

/** The side of the network's input, as its file fixes it. */
const SIDE = 640;
/** Items of one call to run(): the next pictures are decoded while the first are looked at. */
const MAX_ITEMS = 16;
/** Pictures that are being decoded while an earlier one runs. */
const AHEAD = 3;

/** Loads YuNet, or a detector with its interface. Throws when the file has another one. */
export async function load(files: ModelFiles, options: LoadOptions): Promise<LoadedModel<FaceItem, FaceResult>> {
  const path = files.weights.model;
  if (path === undefined) {
    throw new Error(`Expected ${files.id} to have weights named model, got ${Object.keys(files.weights).join(', ')}.`);
  }
  configureImageDecoding({ threads: options.threads });
  return new YuNet(await FaceNetwork.open(path, options), options.maxImagePixels);
}

class YuNet implements LoadedModel<FaceItem, FaceResult> {
  readonly #network: FaceNetwork;
  readonly #maxPixels: number;
  readonly #resizer = new PictureResizer();
  readonly facts: ModelFacts = {
    dimensions: 0,
    batching: { shared: false, maxItems: MAX_ITEMS, reason: 'the graph takes one picture a run' },
  };

  constructor(network: FaceNetwork, maxPixels: number) {
    this.#network = network;
    this.#maxPixels = maxPixels;
  }

  async warmUp(): Promise<void> {
    await this.#network.run(letterbox({ width: 2, height: 2, data: new Uint8Array(12) }, SIDE, this.#resizer));
  }

  async run(items: readonly FaceItem[], context: RunContext): Promise<readonly Outcome<FaceResult>[]> {
    const prepared: Promise<PreparedPicture | Outcome<FaceResult>>[] = [];
    const outcomes: Outcome<FaceResult>[] = [];
    for (const [index, item] of items.entries()) {
      while (prepared.length < Math.min(items.length, index + 1 + AHEAD)) {
        prepared.push(this.#prepare(items[prepared.length] as FaceItem, isWanted(context, prepared.length)));
      }
      const ready = await (prepared[index] as Promise<PreparedPicture | Outcome<FaceResult>>);
      await context.breathe();
      if ('ok' in ready) outcomes.push(ready);
      else if (!isWanted(context, index)) outcomes.push(cancelled());
      else outcomes.push({ ok: true, value: await this.#detect(ready, item) });
    }
    return outcomes;
  }

  close(): Promise<void> {
    return this.#network.close();
  }

  async #prepare(item: FaceItem, wanted: boolean): Promise<PreparedPicture | Outcome<FaceResult>> {
    if (!wanted) return cancelled();
    try {
      return await preparePicture(item.content, SIDE, this.#resizer, this.#maxPixels);
    } catch (error) {
      return failed(error);
    }
  }

  async #detect(prepared: PreparedPicture, item: FaceItem): Promise<FaceResult> {
    const grids = await this.#network.run(prepared.input);
    const faces = decodeFaces(grids, prepared.input.scale, item);
    return { imageWidth: prepared.width, imageHeight: prepared.height, faces };
  }
}
