import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type OnnxNode, type OnnxTensor, writeModel } from '@heimdex/onnx';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { collectGarbage } from '../graph/garbage.js';
import { type ConstantValues, Graph, type Lazy } from '../graph/graph.js';
import { modelOf } from '../graph/graph-file.js';
import type { LayeredGraph } from '../graph/layered-graph.js';
import { WeightsFile } from '../graph/weights-file.js';
import { openSession } from './session.js';

/** Values by name. */
export type Values = Readonly<Record<string, Tensor>>;

/** A graph whose constants are created, written, run and deleted layer by layer: the disk holds only the largest layer. */
export class UnwrittenGraph extends Graph {
  override readonly productRows = 8192;
  readonly #parts = new Map<string, Lazy<Iterable<ConstantValues>>>();

  constructor(override readonly measuresInputs = false) {
    super();
  }

  protected override store(constant: OnnxTensor, parts: Lazy<Iterable<ConstantValues>>): OnnxTensor {
    this.#parts.set(constant.name, parts);
    return constant;
  }

  /** @param parent Directory that holds one layer at a time. */
  layered(parent: string): LayeredGraph {
    const { layers, outputs } = this;
    return {
      layers,
      outputs,
      withConstants: async (names, use) => {
        const dir = mkdtempSync(join(parent, 'layer-'));
        try {
          return await use(this.#write(names, dir), dir);
        } finally {
          rmSync(dir, { recursive: true, force: true });
        }
      },
    };
  }

  #write(names: readonly string[], dir: string): readonly OnnxTensor[] {
    const weights = new WeightsFile(join(dir, 'layer.data'), 'layer.data', 'passes');
    try {
      return names.flatMap((name) => {
        const constant = this.initializers.get(name);
        const parts = this.#parts.get(name);
        if (constant === undefined) return [];
        return [parts === undefined ? constant : { ...constant, data: weights.store(parts()) }];
      });
    } finally {
      weights.abandon();
    }
  }
}

/** Called before each layer with the fraction of completed layers. */
export type OnLayer = (share: number) => void;

/** Computes the graph's outputs layer by layer. */
export async function runLayers(graph: LayeredGraph, feeds: Values, onLayer: OnLayer): Promise<Values> {
  const values = new Map(Object.entries(feeds));
  const results = new Set(graph.outputs.map(({ name }) => name));
  for (const [index, nodes] of graph.layers.entries()) {
    onLayer(index / graph.layers.length);
    collectGarbage();
    const made = new Set(nodes.flatMap(({ outputs }) => outputs));
    const later = graph.layers.slice(index + 1).flat();
    const needed = new Set([...results, ...later.flatMap(readsOf)]);
    const outputs = [...made].filter((name) => needed.has(name));
    if (outputs.length === 0) continue;
    const reads = [...new Set(nodes.flatMap(readsOf))].filter((name) => !made.has(name));
    const given = await graph.withConstants(reads, (constants, dir) =>
      runLayer(nodes, constants, pick(values, reads), outputs, dir),
    );
    for (const [name, value] of Object.entries(given)) values.set(name, value as Tensor);
    for (const name of values.keys()) if (!needed.has(name)) values.delete(name);
  }
  return pick(values, [...results]);
}

async function runLayer(
  nodes: readonly OnnxNode[],
  constants: readonly OnnxTensor[],
  feeds: Values,
  outputs: readonly string[],
  dir: string,
): Promise<InferenceSession.OnnxValueMapType> {
  const inputs = Object.entries(feeds).map(([name, { type, dims }]) => ({
    name,
    elementType: type as 'float32',
    dims: dims.map(() => null),
  }));
  const model = modelOf({
    name: 'layer',
    nodes: [...nodes],
    initializers: [...constants],
    inputs,
    outputs: outputs.map((name) => ({ name, elementType: 'undefined' as const, dims: undefined })),
  });
  const session = await openSession({ model: writeModel(model), dir });
  try {
    return await session.run(feeds);
  } finally {
    await session.release();
  }
}

function pick(values: ReadonlyMap<string, Tensor>, names: readonly string[]): Values {
  return Object.fromEntries(names.flatMap((name) => (values.has(name) ? [[name, values.get(name) as Tensor]] : [])));
}

/** Returns the inputs of an operator, including those of its branches. */
function readsOf(node: OnnxNode): readonly string[] {
  const branches = node.attributes.flatMap(({ graph }) => graph?.nodes.flatMap(readsOf) ?? []);
  return [...node.inputs, ...branches].filter((name) => name !== '');
}
