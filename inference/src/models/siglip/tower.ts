import { once } from '@heimdex/common';
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { type GraphFacts, isBatchInvariant } from '../../onnx/index.js';
import type { LoadOptions } from '../model.js';
import { openRowScaled } from '../session/per-token-session.js';
import { embeddingOutput, splitRows } from './postprocess.js';

/** One of SigLIP's two networks: values in, one vector per item out. */
export class Tower {
  readonly #output: string;
  /** Whether items in a run do not affect each other's vectors. */
  readonly shared: boolean;
  /** The image side or the text length, where the graph fixes it. */
  readonly fixedSize: number | undefined;
  readonly close = once(() => this.session.release());

  private constructor(
    private readonly session: InferenceSession,
    private readonly input: string,
    facts: GraphFacts,
  ) {
    this.#output = embeddingOutput(session.outputNames);
    this.shared = isBatchInvariant(facts);
    const last = facts.inputs.find((value) => value.name === input)?.dims?.at(-1);
    this.fixedSize = typeof last === 'number' && last > 0 ? last : undefined;
  }

  /** Opens the network at `path`. Throws when that input is missing or there is an unknown one. */
  static async open(path: string, input: 'pixel_values' | 'input_ids', options: LoadOptions): Promise<Tower> {
    const { session, facts } = await openRowScaled(path, options);
    const others = session.inputNames.filter((name) => name !== input && name !== 'attention_mask');
    if (!session.inputNames.includes(input) || others.length > 0) {
      await session.release();
      const naflex = others.includes('pixel_attention_mask') || others.includes('spatial_shapes');
      throw new Error(
        `Expected ${path} to take ${input}, got ${session.inputNames.join(', ')}.` +
          (naflex ? ' It is a NaFlex export, which is not served: choose one for square images.' : ''),
      );
    }
    return new Tower(session, input, facts);
  }

  /** Runs the network once; `dims` is the shape of `values`, items first. */
  async run(values: Float32Array | BigInt64Array, dims: readonly number[]): Promise<readonly Float32Array[]> {
    const feeds: Record<string, Tensor> = {
      [this.input]:
        values instanceof Float32Array ? new Tensor('float32', values, dims) : new Tensor('int64', values, dims),
    };
    if (this.session.inputNames.includes('attention_mask')) {
      // The towers were trained without a mask: they read the padding.
      feeds.attention_mask = new Tensor('int64', new BigInt64Array(values.length).fill(1n), dims);
    }
    const outputs = await this.session.run(feeds, [this.#output]);
    const data = outputs[this.#output]?.data;
    if (!(data instanceof Float32Array)) throw new Error(`Expected ${this.#output} to hold float32.`);
    return splitRows(data, dims[0] ?? 1);
  }
}
