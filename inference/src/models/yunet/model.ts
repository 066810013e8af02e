import {
  configureImageDecoding,
  decodePixels,
  type Image,
  ImageInterpolator,
  readImageHeader,
  type Size,
} from '../../media/images/index.js';
import type { FaceItem, FaceResult } from '../items.js';
import type { LoadedModel, LoadOptions, ModelFacts, ModelFiles, Outcome, RunContext } from '../model.js';
import { cancelled, failed, isWaitedFor } from '../outcomes.js';
import { weightsOf } from '../repository.js';
import { decodingTarget, FaceDetector } from './detect.js';
import { FaceNetwork } from './network.js';

/** Spots of 16 pixels, in an image that has an overview; passes until most of the code is compiled. */
const WARM_UP_SPOTS = 24;
const WARM_UP_SIDE = 384;
const WARM_UP_PASSES = 3;

/** Loads YuNet or a detector with the same interface. Throws for any other interface. */
export async function load(files: ModelFiles, options: LoadOptions): Promise<LoadedModel<FaceItem, FaceResult>> {
  const { model: path } = weightsOf(files, 'model');
  configureImageDecoding();
  const network = await FaceNetwork.open(path, options);
  return new YuNet(network, options.maxImagePixels);
}

interface PreparedImage {
  readonly image: Image;
  readonly shown: Size;
}

class YuNet implements LoadedModel<FaceItem, FaceResult> {
  readonly #detector: FaceDetector;
  readonly facts: ModelFacts = {
    dimensions: 0,
    batching: { shared: false, maxItems: 1, reason: 'each image is looked at in its own size' },
  };

  constructor(
    private readonly network: FaceNetwork,
    private readonly maxPixels: number,
  ) {
    this.#detector = new FaceDetector(network);
  }

  /** Searches an image of blurred spots, which has traces of faces: the first call took 40 ms longer than the next ones. */
  async warmUp(): Promise<void> {
    const spots = { width: WARM_UP_SPOTS, height: WARM_UP_SPOTS, data: new Uint8Array(WARM_UP_SPOTS ** 2 * 3) };
    for (let at = 0; at < spots.data.length; at += 1)
      spots.data[at] = ((Math.floor(at / 3) + 1) * 2_654_435_761) >>> 24;
    const image = new ImageInterpolator().resize(spots, WARM_UP_SIDE, WARM_UP_SIDE);
    const options = { scoreThreshold: 0.5, nmsThreshold: 0.3, tiles: true };
    for (let pass = 0; pass < WARM_UP_PASSES; pass += 1) {
      await this.#detector.detect(image, image, options, () => Promise.resolve(true));
    }
  }

  async run(items: readonly FaceItem[], context: RunContext): Promise<readonly Outcome<FaceResult>[]> {
    const outcomes: Outcome<FaceResult>[] = [];
    for (const [index, item] of items.entries()) {
      const ready = isWaitedFor(context, index) ? await this.#prepare(item) : cancelled<PreparedImage>();
      await context.yieldToEventLoop();
      const outcome = ready.ok ? await this.#find(ready.value, item, index, context) : ready;
      context.settled?.(index, outcome);
      outcomes.push(outcome);
    }
    return outcomes;
  }

  close(): Promise<void> {
    return this.network.close();
  }

  async #prepare(item: FaceItem): Promise<Outcome<PreparedImage>> {
    try {
      const header = await readImageHeader(item.content, this.maxPixels);
      const shown = { width: header.width, height: header.height };
      // Without its extent: an image that is reduced by four or more loses three of 7,000 pixels, and has faces of 200 and more.
      const { extent: _, ...image } = await decodePixels(item.content, header, decodingTarget(shown, withTiles(item)));
      return { ok: true, value: { image, shown } };
    } catch (error) {
      return failed(error);
    }
  }

  async #find(
    { image, shown }: PreparedImage,
    item: FaceItem,
    index: number,
    context: RunContext,
  ): Promise<Outcome<FaceResult>> {
    if (!isWaitedFor(context, index)) return cancelled();
    const { scoreThreshold, nmsThreshold, maxFaces } = item;
    const options = { scoreThreshold, nmsThreshold, tiles: withTiles(item) };
    const found = await this.#detector.detect(image, shown, options, async () => {
      await context.yieldToEventLoop();
      return isWaitedFor(context, index);
    });
    if (!isWaitedFor(context, index)) return cancelled();
    const faces = maxFaces === 0 ? found : found.slice(0, maxFaces);
    return { ok: true, value: { imageWidth: shown.width, imageHeight: shown.height, faces } };
  }
}

/** A request for the few best faces gets those found in the whole image; a request for all also gets small ones. */
function withTiles(item: FaceItem): boolean {
  return item.maxFaces === 0;
}
