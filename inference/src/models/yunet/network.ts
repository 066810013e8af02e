import { type InferenceSession, Tensor } from 'onnxruntime-node';
import type { OnnxModel } from '../../onnx/index.js';
import type { LoadOptions } from '../model.js';
import { openSession } from '../session/open-session.js';
import { openTransformedSession } from '../session/transformed-session.js';
import { type GridOutput, STRIDES } from './postprocess.js';
import { blackInput, COARSEST_STRIDE, type NetworkInput } from './preprocess.js';

const KINDS = ['cls', 'obj', 'bbox', 'kps'] as const;
/** The size fixed in YuNet's own file; used for graphs that declare none. */
const USUAL_SIDE = 640;
/**
 * Producers of detectors with YuNet's interface that were trained and measured at a fixed size. At other sizes they
 * would see faces of sizes not trained for.
 */
const FIXED_SIZE_MAKERS: readonly string[] = ['face-pocket'];

/** The detector's graph: one image in, three grids out. */
export class FaceNetwork {
  readonly #session: InferenceSession;
  /** Undefined: any multiple of COARSEST_STRIDE. */
  readonly fixedSide: number | undefined;
  #closed = false;

  private constructor(session: InferenceSession, fixedSide: number | undefined) {
    this.#session = session;
    this.fixedSide = fixedSide;
  }

  /**
   * Opens the graph at `path`. A fixed input is treated as a declaration only, as OpenCV does with YuNet. The fixed
   * size applies where the graph fails at another size, or its producer is one of FIXED_SIZE_MAKERS. Throws when inputs
   * and outputs are not YuNet's.
   */
  static async open(path: string, options: LoadOptions): Promise<FaceNetwork> {
    let side = USUAL_SIDE;
    const { session, changed } = await openTransformedSession(path, options, (model) => {
      side = sideOf(model) ?? USUAL_SIDE;
      return !FIXED_SIZE_MAKERS.includes(model.producer) && freeSizes(model);
    });
    const network = new FaceNetwork(await checked(session, path), changed ? undefined : side);
    if (!changed || (await network.#takesAnySize())) return network;
    await session.release();
    return new FaceNetwork(await openSession(path, options), side);
  }

  async run(input: NetworkInput): Promise<readonly GridOutput[]> {
    const feeds = { input: new Tensor('float32', input.values, [1, 3, input.height, input.width]) };
    const outputs = await this.#session.run(feeds);
    const floats = (name: string): Float32Array => {
      const data = outputs[name]?.data;
      if (!(data instanceof Float32Array)) throw new Error(`Expected ${name} to hold float32.`);
      return data;
    };
    return STRIDES.map((stride) => ({
      stride,
      columns: input.width / stride,
      cls: floats(`cls_${stride}`),
      obj: floats(`obj_${stride}`),
      bbox: floats(`bbox_${stride}`),
      kps: floats(`kps_${stride}`),
    }));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#session.release();
  }

  /** A graph with an internal fixed size fails at another, or returns a grid of the wrong size. */
  async #takesAnySize(): Promise<boolean> {
    const input = blackInput(COARSEST_STRIDE * 3, COARSEST_STRIDE * 2);
    try {
      const grids = await this.run(input);
      return grids.every(({ stride, cls }) => cls.length === (input.width / stride) * (input.height / stride));
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

/** Removes the fixed sizes from a YuNet's declarations; its graph has none inside. Returns false for another graph. */
function freeSizes({ graph }: OnnxModel): boolean {
  const [input] = graph.inputs;
  const outputs = graph.outputs.map(({ name }) => name);
  if (input?.dims?.length !== 4 || !outputNames().every((name) => outputs.includes(name))) return false;
  input.dims = [1, 3, 'height', 'width'];
  for (const output of graph.outputs) {
    const [batch = 1, , size = null] = output.dims ?? [];
    output.dims = [batch, `${output.name}_cells`, size];
  }
  graph.shapes = [];
  return true;
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

function outputNames(): readonly string[] {
  return KINDS.flatMap((kind) => STRIDES.map((stride) => `${kind}_${stride}`));
}
