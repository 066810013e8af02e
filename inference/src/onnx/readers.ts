import type { OnnxGraph, OnnxNode } from '@heimdex/onnx';

/** The readers of each value in a graph. Nodes that only read its shape do not count. */
export class Readers {
  readonly #byName = new Map<string, OnnxNode[]>();

  constructor({ nodes }: OnnxGraph) {
    for (const one of nodes) {
      if (one.opType === 'Shape') continue;
      for (const name of one.inputs) this.#byName.set(name, [...(this.#byName.get(name) ?? []), one]);
    }
  }

  /** Returns the only reader of a value, if it has that operator type. */
  only(name: string | undefined, opType: string): OnnxNode | undefined {
    const [reader, ...others] = this.#byName.get(name ?? '') ?? [];
    return others.length === 0 && reader?.opType === opType ? reader : undefined;
  }
}
