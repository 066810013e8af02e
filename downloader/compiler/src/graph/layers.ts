import type { ElementType } from '@heimdex/onnx';
import { shown } from '../checkpoint/checkpoint.js';
import { toFloat16 } from '../checkpoint/data-types.js';
import type { Weights } from '../checkpoint/weights.js';
import { CompilerError } from '../errors.js';
import { isSmooth, type ProductKind, type Recipe } from './forms.js';
import type { Graph, Lazy } from './graph.js';
import { type InputPeaks, type Matrix, Products } from './products.js';
import { type Divisors, dividedBy, inputDivisors, scaledWeights } from './smoothing.js';

/** Activation functions, by their names in config.json. */
const ACTIVATIONS: Readonly<Record<string, string>> = {
  gelu: 'none',
  gelu_pytorch_tanh: 'tanh',
  gelu_new: 'tanh',
  gelu_fast: 'tanh',
};

/** A linear layer: its tensors `NAME.weight` and, where there is one, `NAME.bias`. */
export interface Linear {
  readonly name: string;
  readonly outputs: number;
}

/** Of outputs of a graph that measures: the largest magnitude of each input of a product. */
export const PEAKS_PREFIX = 'input peaks of ';
/** Rows of a table that are converted at once. */
const TABLE_ROWS = 1024;
const MAX_FLOAT16 = 65504;

/** Layers of transformers. Activations are [rows, width]: sequences are concatenated, and attention separates them. */
export class Layers {
  readonly products: Products;
  readonly #inputPeaks: InputPeaks | undefined;

  constructor(
    readonly graph: Graph,
    readonly weights: Weights,
    readonly recipe: Recipe,
    overflowSafe: boolean,
    inputPeaks?: InputPeaks,
  ) {
    this.#inputPeaks = inputPeaks;
    this.products = new Products(graph, overflowSafe, inputPeaks);
  }

  /** A tensor of the checkpoint as it is, in float32. */
  tensor(name: string, shape: readonly number[]): string {
    return this.graph.constant(name, 'float32', shape, () => this.weights.take(name, shape));
  }

  /** A convolution, bias included: its tensors `NAME.weight` [outputs, inputs, ...kernel] and `NAME.bias`. */
  convolution(
    x: string,
    name: string,
    [outputs, inputs, ...kernel]: readonly [number, number, ...number[]],
    attributes: Readonly<Record<string, readonly number[]>>,
  ): string {
    const weight = this.tensor(`${name}.weight`, [outputs, inputs, ...kernel]);
    const bias = this.tensor(`${name}.bias`, [outputs]);
    return this.graph.op('Conv', [x, weight, bias], { kernel_shape: kernel, ...attributes });
  }

  /** A linear layer, bias included. */
  linear(x: string, { name, outputs }: Linear, inputs: number, kind: ProductKind): string {
    return this.joined(x, name, [{ name, outputs }], inputs, kind);
  }

  /**
   * Several linear layers over the same activations as one product, side by side. `divisors.inputs` is what the activations were divided
   * by, `divisors.outputs` what the product shall be.
   */
  joined(
    x: string,
    key: string,
    layers: readonly Linear[],
    inputs: number,
    kind: ProductKind,
    divisors: Divisors = {},
  ): string {
    const bias = this.#biasOf(layers, divisors);
    return this.multiply(x, key, { ...this.#matrixOf(layers, inputs, divisors), bias }, kind);
  }

  #matrixOf(layers: readonly Linear[], inputs: number, divisors: Divisors = {}): Matrix {
    const outputs = outputsOf(layers);
    const values = () =>
      scaledWeights(
        this.#sideBySide(layers, 'weight', (layer) => [layer.outputs, inputs], outputs * inputs),
        divisors,
      );
    return { values, outputs, inputs };
  }

  /** The biases of several layers one behind the other; undefined if none has one. */
  #biasOf(layers: readonly Linear[], divisors: Divisors = {}): Lazy<Float32Array> | undefined {
    if (!layers.some((layer) => this.weights.has(`${layer.name}.bias`))) return undefined;
    return () =>
      dividedBy(
        this.#sideBySide(layers, 'bias', (layer) => [layer.outputs], outputsOf(layers)),
        divisors.outputs,
      );
  }

  /** Tensors of several layers one behind the other; zeros for a bias that is not there. */
  #sideBySide(
    layers: readonly Linear[],
    tensor: 'weight' | 'bias',
    shapeOf: (layer: Linear) => readonly number[],
    count: number,
  ): Float32Array {
    const [only, ...others] = layers;
    if (only !== undefined && others.length === 0) return this.weights.take(`${only.name}.${tensor}`, shapeOf(only));
    const joined = new Float32Array(count);
    let at = 0;
    for (const layer of layers) {
      const shape = shapeOf(layer);
      const name = `${layer.name}.${tensor}`;
      if (tensor === 'weight' || this.weights.has(name)) joined.set(this.weights.take(name, shape), at);
      at += shape.reduce((product, size) => product * size, 1);
    }
    return joined;
  }

  /**
   * What to divide the inputs of a product by, before it; undefined if its form does not ask for that, or its inputs were not measured.
   * `matrices` are its weights, [outputs, inputs] each.
   */
  smoothing(key: string, matrices: () => Iterable<Float32Array>, kind: ProductKind): Float32Array | undefined {
    const peaks = this.#inputPeaks?.get(key);
    return peaks === undefined || !isSmooth(this.recipe[kind]) ? undefined : inputDivisors(peaks, matrices());
  }

  /** A norm and the linear layers that read it, side by side; nothing else does. */
  normed(
    x: string,
    norm: { readonly name: string; readonly epsilon: number },
    product: { readonly key: string; readonly layers: readonly Linear[]; readonly kind: ProductKind },
    width: number,
    outputs?: Float32Array,
  ): string {
    const { key, layers, kind } = product;
    const matrices = () => layers.map((layer) => this.weights.take(`${layer.name}.weight`, [layer.outputs, width]));
    const inputs = this.smoothing(key, matrices, kind);
    const rows = this.norm(x, norm.name, width, norm.epsilon, inputs);
    return this.joined(rows, key, layers, width, kind, { inputs, outputs });
  }

  /** The largest magnitudes of a product's inputs, if the graph measures them. */
  measure(x: string, key: string, inputs: number): void {
    if (!this.graph.measuresInputs) return;
    const peaks = this.graph.op('ReduceMax', [this.graph.op('Abs', [x]), this.graph.integers(0)], { keepdims: 0 });
    this.graph.output(`${PEAKS_PREFIX}${key}`, peaks, [inputs]);
  }

  /** `x` times the matrix, plus its bias if there is one. */
  multiply(x: string, key: string, matrix: Matrix, kind: ProductKind): string {
    this.measure(x, key, matrix.inputs);
    // The second feed-forward product follows `activation`.
    const rows = { afterGelu: kind === 'feed-forward 2', commonRows: kind !== 'head' };
    return this.products.multiply(x, key, { ...matrix, ...rows }, this.recipe[kind]);
  }

  /** A layer norm, whose outputs are divided by `divisors`. */
  norm(x: string, name: string, size: number, epsilon: number, divisors?: Float32Array): string {
    const [weight, bias] = (['weight', 'bias'] as const).map((part) =>
      this.graph.constant(`${name}.${part}`, 'float32', [size], () =>
        dividedBy(this.weights.take(`${name}.${part}`, [size]), divisors),
      ),
    );
    const inputs = [x, weight as string, bias as string];
    return this.graph.op('LayerNormalization', inputs, { axis: -1, epsilon: { float: epsilon } });
  }

  /** Throws CONFIG_UNSUPPORTED for an activation function that is not known. */
  activation(x: string, name: string): string {
    const approximate = Object.hasOwn(ACTIVATIONS, name) ? ACTIVATIONS[name] : undefined;
    if (approximate === undefined) {
      const known = Object.keys(ACTIVATIONS).join(', ');
      throw new CompilerError(
        'CONFIG_UNSUPPORTED',
        `Expected an activation function of ${known} in config.json, got ${shown(name)}.`,
      );
    }
    return this.graph.op('Gelu', [x], { approximate: { string: approximate } });
  }

  /** Self-attention's context [rows, width] of x [rows, width] in sequences; `dims` names [sequences, length, width]. */
  attention(
    x: string,
    name: string,
    projections: readonly [string, string, string],
    attention: AttentionShape,
  ): string {
    const { graph } = this;
    const { width, heads, dims, mask, unpadded, merged, scores } = attention;
    const layers = projections.map((projection) => ({ name: `${name}.${projection}`, outputs: width }));
    const form = this.recipe['attention input'];
    // In half precision a GPU has kernels that hold no table of scores, and sum in float32. What comes from a product in half
    // precision is in its range.
    const half = form === 'float16';
    const cast = (value: string, to: ElementType) => (half ? graph.cast(value, to) : value);
    // The operator adds the biases as it parts the heads, which is a pass over the activations less.
    const apart = form !== 'float32' && !half ? this.#biasOf(layers) : undefined;
    const bias = apart === undefined ? '' : graph.constant(`${name}.qkv.bias`, 'float32', [outputsOf(layers)], apart);
    const product = (key: string, parts: readonly Linear[]) =>
      apart === undefined
        ? this.joined(x, key, parts, width, 'attention input')
        : this.multiply(x, key, this.#matrixOf(parts, width), 'attention input');
    const joined = () => graph.split(cast(product(`${name}.qkv`, layers), 'float16'), 3, 1);
    // Three products in this form take as long as one, and need not be split.
    const parts = form === 'row' ? layers.map((layer) => product(layer.name, [layer])) : joined();
    const sequences = parts.map((part) => graph.op('Reshape', [part, dims]));
    const operator = 'MultiHeadAttention';
    const attributes = { num_heads: heads };
    const plain = bias === '' ? sequences : [...sequences, bias];
    const masked = (...more: readonly string[]) => [...sequences, bias, ...more];
    const added = scores === undefined ? [] : [cast(scores, 'float16')];
    const attend = (inputs: readonly string[]) => graph.runtimeOp(operator, inputs, attributes);
    const either = (condition: string, whether: readonly string[], otherwise: readonly string[]) =>
      graph.either(condition, operator, [whether, otherwise], attributes, half ? 'float16' : 'float32');
    // With a mask, or with scores added, the operator holds the whole table of weights: only where it must.
    const context =
      merged !== undefined
        ? either(merged.condition, masked('', cast(merged.logCounts, 'float16')), plain)
        : mask === undefined
          ? attend(plain)
          : unpadded === undefined
            ? attend(masked(mask, ...added))
            : either(unpadded, plain, masked(mask));
    return cast(graph.op('Reshape', [context, graph.integers(-1, width)]), 'float32');
  }

  /**
   * A table of token embeddings, read slice by slice: in half precision, of which a run touches only the rows it asks for, or
   * in float32 in the float32 graph and where a value is beyond half precision. Gives the rows of `ids` as float32.
   */
  embedding(name: string, ids: string, rows: number, width: number): string {
    const { graph, weights } = this;
    const slices = function* (): Generator<Float32Array> {
      for (let row = 0; row < rows; row += TABLE_ROWS) {
        yield weights.takeRows(name, [rows, width], row, Math.min(TABLE_ROWS, rows - row));
      }
    };
    const isFloat32 = this.recipe['feed-forward 1'] === 'float32';
    if (isFloat32 || !fitsFloat16(slices())) {
      return graph.op('Gather', [graph.streamed(name, 'float32', [rows, width], slices), ids]);
    }
    const halves = function* (): Generator<Uint16Array> {
      for (const slice of slices()) yield toFloat16(slice);
    };
    const table = graph.streamed(name, 'float16', [rows, width], halves);
    return graph.cast(graph.op('Gather', [table, ids]), 'float32');
  }
}

/** How rows are parted for attention. */
export interface AttentionShape {
  readonly width: number;
  readonly heads: number;
  /** Name of the int64 value [sequences, length, width]. */
  readonly dims: string;
  /** Name of the int32 value [sequences, length]: 0 where a row is padding. */
  readonly mask?: string;
  /** Name of a bool value [1]: where it holds, no row is padding, and attention runs without the mask. Not with `scores`. */
  readonly unpadded?: string | undefined;
  /** Name of a float32 value [1, heads, length, length] that is added to the scores. Needs `mask`. */
  readonly scores?: string | undefined;
  /**
   * Token merging with proportional attention (Bolya et al., 2023): where `condition` (bool [1]) holds, `logCounts` is added to
   * the scores, the logarithm of how many positions each row stands for.
   */
  readonly merged?: { readonly condition: string; readonly logCounts: string };
}

function outputsOf(layers: readonly Linear[]): number {
  return layers.reduce((sum, layer) => sum + layer.outputs, 0);
}

function fitsFloat16(slices: Iterable<Float32Array>): boolean {
  for (const slice of slices)
    for (let i = 0; i < slice.length; i++) if (Math.abs(slice[i] as number) > MAX_FLOAT16) return false;
  return true;
}
