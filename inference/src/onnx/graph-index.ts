import type { OnnxGraph, OnnxNode, OnnxTensor } from '@heimdex/onnx';

/** The branches of If and Loop in a graph. */
export function branchesOf({ nodes }: OnnxGraph): readonly OnnxGraph[] {
  return nodes.flatMap(({ attributes }) => attributes.flatMap(({ graph }) => graph ?? []));
}

/** The integers of an attribute, separated by commas; empty if a node has none. */
export function integersOf({ attributes }: OnnxNode, name: string): string {
  return attributes.find((one) => one.name === name)?.ints.join() ?? '';
}

/** Whether a softmax is over the last dimension of attention's scores. */
export function isOverLast({ attributes }: OnnxNode): boolean {
  return [-1n, 3n].includes(attributes.find(({ name }) => name === 'axis')?.int ?? -1n);
}

/** Looks up the values of a graph by their names: the nodes that make and read them, and constants. */
export class GraphIndex {
  readonly #makers = new Map<string, OnnxNode>();
  readonly #readers = new Map<string, OnnxNode[]>();
  readonly #constants = new Map<string, OnnxTensor>();

  /** `outer`: the graph around a branch, whose values the branch may read. */
  constructor(graph: OnnxGraph, outer: OnnxGraph = graph) {
    for (const { nodes, initializers } of new Set([outer, graph])) {
      for (const constant of initializers) this.#constants.set(constant.name, constant);
      for (const maker of nodes) {
        for (const name of maker.outputs) this.#makers.set(name, maker);
        const constant = maker.opType === 'Constant' ? maker.attributes[0]?.tensor : undefined;
        if (constant !== undefined) this.#constants.set(maker.outputs[0] ?? '', constant);
      }
    }
    for (const reader of graph.nodes) {
      for (const name of reader.inputs) this.#readers.set(name, [...(this.#readers.get(name) ?? []), reader]);
    }
  }

  /** The node that makes a value, if it has that operator type. */
  maker(name: string | undefined, opType?: string): OnnxNode | undefined {
    const maker = this.#makers.get(name ?? '');
    return opType === undefined || maker?.opType === opType ? maker : undefined;
  }

  /** The only node of the graph that reads a value, if it has that operator type. Those that only read its shape do not count. */
  reader(name: string | undefined, opType: string): OnnxNode | undefined {
    const [reader, ...others] = (this.#readers.get(name ?? '') ?? []).filter((one) => one.opType !== 'Shape');
    return others.length === 0 && reader?.opType === opType ? reader : undefined;
  }

  constant(name: string | undefined): OnnxTensor | undefined {
    return this.#constants.get(name ?? '');
  }

  /** The value of a scalar float constant. */
  float(name: string | undefined): number | undefined {
    const { data, elementType } = this.constant(name) ?? {};
    if (elementType !== 'float32' || data?.kind !== 'inline' || data.bytes.length !== 4) return undefined;
    return new DataView(data.bytes.buffer, data.bytes.byteOffset).getFloat32(0, true);
  }
}
