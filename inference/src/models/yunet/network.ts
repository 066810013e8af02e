import { once } from '@heimdex/common';
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import type { OnnxModel } from '../../onnx/index.js';
import type { LoadOptions } from '../model.js';
import { openSession } from '../session/open-session.js';
import { openTransformedSession } from '../session/transformed-session.js';
import { freeSizes, fuseHeads, outputNames } from './graph.js';
import { type GridOutput, STRIDES } from './postprocess.js';
import { blackInput, COARSEST_STRIDE, type NetworkInput } from './preprocess.js';

/** The size fixed in YuNet's own file; used for graphs that declare none. */
const USUAL_SIDE = 640;
/**
 * Producers of detectors with YuNet's interface that were trained and measured at a fixed size. At other sizes they
 * would see faces of sizes not trained for.
 */
const FIXED_SIZE_MAKERS: readonly string[] = ['face-pocket'];

/** The detector's graph: images of one size in, three grids for each out. */
export class FaceNetwork {
  /** Whether several images may share a run. */
  #batches = false;
  readonly close = once(() => this.session.release());

  private constructor(
    private readonly session: InferenceSession,
    /** Undefined: any multiple of COARSEST_STRIDE. */
    readonly fixedSide: number | undefined,
  ) {}

  /**
   * Opens the graph at `path`. A fixed input is treated as a declaration only, as OpenCV does with YuNet. The fixed
   * size applies where the graph fails at another size, or its producer is one of FIXED_SIZE_MAKERS. Throws when inputs
   * and outputs are not YuNet's.
   */
  static async open(path: string, options: LoadOptions): Promise<FaceNetwork> {
    let side = USUAL_SIDE;
    const { session, changed } = await openTransformedSession(path, options, (model, read) => {
      side = sideOf(model) ?? USUAL_SIDE;
      if (FIXED_SIZE_MAKERS.includes(model.producer) || !freeSizes(model)) return false;
      fuseHeads(model, read);
      return true;
    });
    const network = new FaceNetwork(await checked(session, path), changed ? undefined : side);
    if (!changed) return network;
    network.#batches = await network.#takes(2);
    if (network.#batches || (await network.#takes(1))) return network;
    await session.release();
    return new FaceNetwork(await openSession(path, options), side);
  }

  /** Returns the grids of each image. */
  async run(input: NetworkInput): Promise<readonly (readonly GridOutput[])[]> {
    if (input.images === 1 || this.#batches) return this.#runTogether(input);
    const all: (readonly GridOutput[])[] = [];
    const size = input.values.length / input.images;
    for (let image = 0; image < input.images; image += 1) {
      const values = input.values.subarray(image * size, (image + 1) * size);
      all.push(...(await this.#runTogether({ ...input, values, images: 1 })));
    }
    return all;
  }

  async #runTogether({ values, images, width, height }: NetworkInput): Promise<readonly (readonly GridOutput[])[]> {
    const outputs = await this.session.run({ input: new Tensor('float32', values, [images, 3, height, width]) });
    const floats = (name: string): Float32Array => {
      const data = outputs[name]?.data;
      if (!(data instanceof Float32Array)) throw new Error(`Expected ${name} to hold float32.`);
      return data;
    };
    return Array.from({ length: images }, (_, image) =>
      STRIDES.map((stride) => {
        // The cells of all images follow one another.
        const part = (kind: string): Float32Array => {
          const all = floats(`${kind}_${stride}`);
          return all.subarray((all.length / images) * image, (all.length / images) * (image + 1));
        };
        return {
          stride,
          columns: width / stride,
          cls: part('cls'),
          obj: part('obj'),
          bbox: part('bbox'),
          kps: part('kps'),
        };
      }),
    );
  }

  /** A graph with an internal fixed size, or number of images, fails at another, or returns a grid of the wrong size. */
  async #takes(images: number): Promise<boolean> {
    const input = blackInput(COARSEST_STRIDE * 3, COARSEST_STRIDE * 2, images);
    try {
      const all = await this.#runTogether(input);
      return all.every((grids) =>
        grids.every(({ stride, cls }) => cls.length === (input.width / stride) * (input.height / stride)),
      );
    } catch {
      return false;
    }
  }
}

/** The fixed side of a graph's square input. */
function sideOf({ graph }: OnnxModel): number | undefined {
  const [, , height, width] = graph.inputs[0]?.dims ?? [];
  return typeof height === 'number' && height === width ? height : undefined;
}

async function checked(session: InferenceSession, path: string): Promise<InferenceSession> {
  const missing = outputNames().filter((name) => !session.outputNames.includes(name));
  if (missing.length === 0 && session.inputNames.length === 1 && session.inputNames[0] === 'input') return session;
  await session.release();
  throw new Error(
    `Expected ${path} to be a YuNet with the input \`input\` and twelve outputs, got ${session.inputNames.join(', ')}` +
      (missing.length > 0 ? ` and no ${missing.join(', ')}.` : '.'),
  );
}
