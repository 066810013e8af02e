import type { OnnxGraph, OnnxNode } from '@heimdex/onnx';

/** Who reads what in a graph. What only asks for a shape is no reader. */
export class Readers {
  readonly #byName = new Map<string, OnnxNode[]>();

  constructor({ nodes }: OnnxGraph) {
    for (const one of nodes) {
      if (one.opType === 'Shape') continue;
      for (const name of one.inputs) this.#byName.set(name, [...(this.#byName.get(name) ?? []), one]);
    }
  }

  /** The only node that reads a value, if it is of that kind. */
  only(name: string | undefined, opType: string): OnnxNode | undefined {
    const [reader, ...others] = this.#byName.get(name ?? '') ?? [];
    return others.length === 0 && reader?.opType === opType ? reader : undefined;
  }
}
