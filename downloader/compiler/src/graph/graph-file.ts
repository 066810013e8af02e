import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { newModel, type OnnxModel, type OnnxTensor, type PlainGraph, RUNTIME_DOMAIN, writeModel } from '@heimdex/onnx';
import { type ConstantValues, Graph, type Lazy } from './graph.js';
import type { LayeredGraph } from './layered-graph.js';
import { WeightsFile, type WrittenFile } from './weights-file.js';

/** QuantizeLinear with a scale per row came with 21. */
const OPSET = 21n;
const IR_VERSION = 10n;

/** A model of the operators that graphs are built of. */
export function modelOf(graph: PlainGraph): OnnxModel {
  const opsets = new Map([
    ['', OPSET],
    [RUNTIME_DOMAIN, 1n],
  ]);
  return { ...newModel(graph), irVersion: IR_VERSION, producer: 'heimdex', opsets };
}

/**
 * Writes a graph to a file: each constant goes to NAME_data as soon as it is created, so that memory holds one at a time; `finish`
 * writes NAME.
 */
export class GraphFile extends Graph {
  readonly #dir: string;
  readonly #name: string;
  readonly #weights: WeightsFile;

  /** @param name Such as `encoder.onnx`. */
  constructor(dir: string, name: string) {
    super();
    this.#dir = dir;
    this.#name = name;
    const weights = `${name}_data`;
    this.#weights = new WeightsFile(join(dir, weights), weights);
  }

  protected override store(constant: OnnxTensor, parts: Lazy<Iterable<ConstantValues>>): OnnxTensor {
    return { ...constant, data: this.#weights.store(parts()) };
  }

  /** Writes the graph. */
  finish(): readonly WrittenFile[] {
    const weights = this.#weights.close();
    const { layers, inputs, outputs } = this;
    const initializers = [...this.initializers.values()];
    const model = modelOf({ name: this.#name, nodes: layers.flat(), initializers, inputs, outputs });
    const bytes = writeModel(model);
    writeFileSync(join(this.#dir, this.#name), bytes, { flag: 'wx', flush: true });
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return [{ name: this.#name, sizeBytes: bytes.length, sha256 }, weights];
  }

  /** Its layers, with constants in the weights file. */
  layered(): LayeredGraph {
    const { layers, outputs, initializers } = this;
    return {
      layers,
      outputs,
      withConstants: (names, use) =>
        use(
          names.flatMap((name) => initializers.get(name) ?? []),
          this.#dir,
        ),
    };
  }

  /** Closes the weights file after a failure. */
  abandon(): void {
    this.#weights.abandon();
  }
}
