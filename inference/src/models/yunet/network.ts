import { type InferenceSession, Tensor } from 'onnxruntime-node';
import type { LoadOptions } from '../model.js';
import { openSession } from '../session.js';
import { type GridOutput, STRIDES } from './postprocess.js';
import type { NetworkInput } from './preprocess.js';

const KINDS = ['cls', 'obj', 'bbox', 'kps'] as const;

/** The detector's graph: one picture in, three grids out. */
export class FaceNetwork {
  readonly #session: InferenceSession;
  #closed = false;

  private constructor(session: InferenceSession) {
    this.#session = session;
  }

  /** Throws when the graph at `path` has not YuNet's inputs and outputs. */
  static async open(path: string, options: LoadOptions): Promise<FaceNetwork> {
    const session = await openSession(path, options);
    const missing = outputNames().filter((name) => !session.outputNames.includes(name));
    if (missing.length > 0 || session.inputNames.length !== 1 || session.inputNames[0] !== 'input') {
      await session.release();
      throw new Error(
        `Expected ${path} to be a YuNet with the input \`input\` and twelve outputs, got ${session.inputNames.join(', ')}` +
          (missing.length > 0 ? ` and no ${missing.join(', ')}.` : '.'),
      );
    }
    return new FaceNetwork(session);
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
}

function outputNames(): readonly string[] {
  return KINDS.flatMap((kind) => STRIDES.map((stride) => `${kind}_${stride}`));
}
