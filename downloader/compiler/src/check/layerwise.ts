import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OnnxNode, OnnxTensor } from '@heimdex/onnx';
import { writeModel } from '@heimdex/onnx';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { type ConstantValues, Graph, type Lazy } from '../graph/graph.js';
import { modelOf } from '../graph/graph-file.js';
import { WeightsFile } from '../graph/weights-file.js';
import { openSession } from './session.js';

/** Values by name. */
export type Values = Readonly<Record<string, Tensor>>;

/**
 * Runs a graph layer by layer: each layer's constants are made, written, run and deleted before the next one's, so that a model of
 * any size needs memory and disk for its largest layer alone.
 */
export class LayerwiseGraph extends Graph {
  readonly #segments: (readonly OnnxNode[])[] = [];
  readonly #parts = new Map<string, Lazy<Iterable<ConstantValues>>>();

  protected override store(constant: OnnxTensor, parts: Lazy<Iterable<ConstantValues>>): OnnxTensor {
    this.#parts.set(constant.name, parts);
    return constant;
  }

  override cut(): void {
    if (this.nodes.length > 0) this.#segments.push(this.nodes);
    this.nodes = [];
  }

  /** The graph's outputs. `dir` holds a layer at a time. */
  async run(feeds: Values, dir: string): Promise<Values> {
    this.cut();
    const values = new Map(Object.entries(feeds));
    const results = new Set(this.outputs.map(({ name }) => name));
    for (const [index, nodes] of this.#segments.entries()) {
      const made = new Set(nodes.flatMap(({ outputs }) => outputs));
      const readLater = new Set(
        this.#segments
          .slice(index + 1)
          .flat()
          .flatMap(readsOf),
      );
      const outputs = [...made].filter((name) => results.has(name) || readLater.has(name));
      const given = await this.#runSegment(nodes, made, outputs, values, dir);
      for (const [name, value] of Object.entries(given)) values.set(name, value as Tensor);
      for (const name of values.keys()) if (!results.has(name) && !readLater.has(name)) values.delete(name);
    }
    return Object.fromEntries([...values].filter(([name]) => results.has(name)));
  }

  async #runSegment(
    nodes: readonly OnnxNode[],
    made: ReadonlySet<string>,
    outputs: readonly string[],
    values: ReadonlyMap<string, Tensor>,
    parent: string,
  ): Promise<InferenceSession.OnnxValueMapType> {
    const reads = [...new Set(nodes.flatMap(readsOf))].filter((name) => !made.has(name));
    const feeds = reads.filter((name) => values.has(name));
    const dir = mkdtempSync(join(parent, 'layer-'));
    try {
      const weights = new WeightsFile(join(dir, 'layer.data'), 'layer.data');
      const initializers = reads.flatMap((name) => {
        const constant = this.initializers.get(name);
        const parts = this.#parts.get(name);
        if (constant === undefined) return [];
        return [parts === undefined ? constant : { ...constant, data: weights.store(parts()) }];
      });
      weights.close();
      const value = (name: string) => ({ name, elementType: 'undefined' as const, dims: undefined });
      const inputs = feeds.map((name) => ({
        name,
        elementType: (values.get(name) as Tensor).type as 'float32',
        dims: (values.get(name) as Tensor).dims.map(() => null),
      }));
      const model = modelOf({ name: 'layer', nodes: [...nodes], initializers, inputs, outputs: outputs.map(value) });
      const path = join(dir, 'layer.onnx');
      writeFileSync(path, writeModel(model));
      const session = await openSession(path);
      try {
        return await session.run(Object.fromEntries(feeds.map((name) => [name, values.get(name) as Tensor])));
      } finally {
        await session.release();
      }
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  }
}

/** What an operator reads, its branches included. */
function readsOf(node: OnnxNode): readonly string[] {
  const branches = node.attributes.flatMap(({ graph }) => graph?.nodes.flatMap(readsOf) ?? []);
  return [...node.inputs, ...branches].filter((name) => name !== '');
}
