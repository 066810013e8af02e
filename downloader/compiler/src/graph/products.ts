import { once } from '@heimdex/common';
import { GELU_MIN_PEAK, GELU_STEPS, ROW_STEPS, type RowSteps } from '@heimdex/onnx';
import { toFloat16 } from '../checkpoint/data-types.js';
import type { Form } from './forms.js';
import type { Graph, Lazy } from './graph.js';
import { outlierCount, splitOutliers } from './outliers.js';
import { BLOCK_SIZE, quantizeBlocks, quantizeColumns, remaindersOf, transposed } from './quantize.js';

/** Weights of a product: [outputs, inputs], as in torch's linear layers. */
export interface Matrix {
  readonly values: Lazy<Float32Array>;
  readonly outputs: number;
  readonly inputs: number;
  /** [outputs]. */
  readonly bias?: Lazy<Float32Array> | undefined;
  /** Whether the activations are GELU's: their rounding needs few steps below 0. `row` and `rowf` use it. */
  readonly afterGelu?: boolean | undefined;
  /** Whether the activations have as many rows as most others of the graph, which then share a value of that length. */
  readonly commonRows?: boolean | undefined;
}

/** A product whose weights and scales, constants of these names, are `quantizeBlocks` of its matrix. */
export interface BlockProduct {
  readonly weights: string;
  readonly scales: string;
  readonly outputs: number;
  readonly inputs: number;
}

/** A step of the rest: half a step of the first rounding in 127 steps. */
const REST_STEPS: RowSteps = { step: ROW_STEPS.step / 254, zeroPoint: ROW_STEPS.zeroPoint };

/** Activations of several products are quantized once. */
interface QuantizedRows {
  readonly peak: string;
  readonly scaled: string;
  readonly steps: string;
  rest?: string;
}

/** Activations in 8 bits, and what a product of them is taken times, [rows, 1]. */
interface RowSums {
  readonly steps: string;
  readonly rowSteps: RowSteps;
  readonly scale: string;
}

/** Largest magnitude of each input of a product, by the product's key. */
export type InputPeaks = ReadonlyMap<string, Float32Array>;

/** Writes matrix products in their forms. Activations are [rows, inputs]. */
export class Products {
  readonly #graph: Graph;
  readonly #inputPeaks: InputPeaks;
  readonly #rows = new Map<string, QuantizedRows>();
  readonly #steps = new Map<string, RowSums>();
  /** By zero point: that byte once per row, for activations with the common number of rows. */
  readonly #zeroPoints = new Map<number, string>();

  /**
   * @param overflowSafe Whether 8-bit weights are exact with the fast product of CPUs without VNNI.
   * @param inputPeaks For the choice of `rowf`; products without are chosen by their weights.
   */
  constructor(
    graph: Graph,
    readonly overflowSafe: boolean,
    inputPeaks: InputPeaks = new Map(),
  ) {
    this.#graph = graph;
    this.#inputPeaks = inputPeaks;
  }

  /** `x` times the matrix, plus its bias if there is one, [rows, outputs]. `key` names the constants. */
  multiply(x: string, key: string, matrix: Matrix, form: Form): string {
    // The runtime opens no list of less than two outliers in another file, and so few inputs are as fast in float32.
    if (form === 'rowf')
      return outlierCount(matrix.inputs) < 2
        ? this.multiply(x, key, matrix, 'float32')
        : this.#withOutliers(x, key, matrix);
    const product = this.#product(x, key, matrix, form);
    if (matrix.bias === undefined) return product;
    // ONNX Runtime would make one operator of a vector, an addition and a GELU, which takes 1.2 times as long as they do apart.
    const shape = form === 'row' || form === 'smooth' ? [1, matrix.outputs] : [matrix.outputs];
    return this.#graph.op('Add', [product, this.#graph.constant(`${key}.bias`, 'float32', shape, matrix.bias)]);
  }

  #product(x: string, key: string, matrix: Matrix, form: Exclude<Form, 'rowf'>): string {
    const graph = this.#graph;
    const { values, outputs, inputs } = matrix;
    const name = `${key}.weight`;
    if (form === 'float32') {
      const turned = () => transposed(values(), outputs, inputs);
      return graph.op('MatMul', [x, graph.streamed(name, 'float32', [inputs, outputs], turned)]);
    }
    if (form === 'float16') {
      const turned = function* (): Generator<Uint16Array> {
        for (const rows of transposed(values(), outputs, inputs)) yield toFloat16(rows);
      };
      const halves = [graph.cast(x, 'float16'), graph.streamed(name, 'float16', [inputs, outputs], turned)];
      return graph.cast(graph.op('MatMul', halves), 'float32');
    }
    if (form === 'nb8') {
      const blocks = Math.ceil(inputs / BLOCK_SIZE);
      const quantized = once(() => quantizeBlocks(values(), outputs, inputs));
      const weights = graph.constant(name, 'uint8', [outputs, blocks, BLOCK_SIZE], () => quantized().values);
      const scales = graph.constant(`${key}.scale`, 'float32', [outputs, blocks], () => quantized().scales);
      return this.blocks(x, { weights, scales, outputs, inputs });
    }
    const quantized = once(() => quantizeColumns(values(), outputs, inputs, this.overflowSafe));
    const weights = graph.constant(name, 'int8', [inputs, outputs], () => quantized().values);
    const scales = graph.constant(`${key}.scale`, 'float32', [outputs], () => quantized().scales);
    if (form === 'row' || form === 'smooth') return this.#rowProduct(x, weights, scales, matrix, form);
    if (form === 'smooth2') return this.twoRows(x, weights, scales);
    const { peak, steps } = this.#quantized(x);
    let sum = this.#integers(steps, weights, ROW_STEPS, scales);
    const add = (product: string) => {
      sum = graph.op('Add', [sum, product]);
    };
    add(this.#integers(this.#rest(x), weights, REST_STEPS, scales));
    if (form === 'row3') {
      const left = once(() => {
        const remainders = remaindersOf(values(), quantized(), outputs, inputs);
        return quantizeColumns(remainders, outputs, inputs, this.overflowSafe);
      });
      const rest = graph.constant(`${key}.rest`, 'int8', [inputs, outputs], () => left().values);
      const restScales = graph.constant(`${key}.rest_scale`, 'float32', [outputs], () => left().scales);
      add(this.#integers(steps, rest, ROW_STEPS, restScales));
    }
    return graph.op('Mul', [sum, peak]);
  }

  /** The bias is one more weight of the float32 product, of an input that is 1: added to it, it takes half as long as the product. */
  #withOutliers(x: string, key: string, matrix: Matrix): string {
    const graph = this.#graph;
    const { values, outputs, inputs, bias } = matrix;
    const count = outlierCount(inputs);
    const split = once(() => splitOutliers(values(), outputs, inputs, this.#inputPeaks.get(key)));
    const quantized = once(() => quantizeColumns(split().otherWeights, outputs, inputs, this.overflowSafe));
    const weights = graph.constant(`${key}.weight`, 'int8', [inputs, outputs], () => quantized().values);
    const scales = graph.constant(`${key}.scale`, 'float32', [outputs], () => quantized().scales);
    const mask = graph.constant(`${key}.others`, 'float32', [inputs], () => split().mask);
    const indices = graph.constant(`${key}.outliers`, 'int64', [count], () => split().indices);
    const rows = bias === undefined ? count : count + 1;
    const kept = graph.streamed(`${key}.outlier_weight`, 'float32', [rows, outputs], function* () {
      yield split().outlierWeights;
      if (bias !== undefined) yield bias();
    });
    const gathered = graph.op('Gather', [x, indices], { axis: 1 });
    const outliers =
      bias === undefined ? gathered : graph.op('Pad', [gathered, graph.integers(0, 0, 0, 1), graph.scalar(1)]);
    const exact = graph.op('MatMul', [outliers, kept]);
    const others = graph.op('Mul', [x, mask]);
    return graph.op('Add', [this.#rowProduct(others, weights, scales, matrix), exact]);
  }

  /** A product with activations in 8 bits, one scale per row. */
  #rowProduct(x: string, weights: string, scales: string, matrix: Matrix, form: 'row' | 'smooth' = 'row'): string {
    const { steps, rowSteps, scale } = form === 'smooth' ? this.#dividedSteps(x, matrix) : this.#inSteps(x, matrix);
    return this.#graph.op('Mul', [this.#integers(steps, weights, rowSteps, scales), scale]);
  }

  /**
   * A product with activations in 16 bits: a row of 8 bits, and one of its rest, of the same product. Of one token the weights are what
   * takes time, and they are read once. `weights` and `scales` are `quantizeColumns` of the matrix.
   */
  twoRows(x: string, weights: string, scales: string): string {
    const graph = this.#graph;
    const { peak, steps } = this.#quantized(x, true);
    const rows = graph.op('Concat', [steps, this.#rest(x, true)], { axis: 0 });
    const product = this.#integers(rows, weights, ROW_STEPS, scales);
    const [first = '', rest = ''] = graph.split(product, 2, 0);
    const restStep = graph.scalar(REST_STEPS.step / ROW_STEPS.step);
    return graph.op('Mul', [graph.op('Add', [first, graph.op('Mul', [rest, restStep])]), peak]);
  }

  /** A row's scale is divided by as it is quantized, in one pass. */
  #inSteps(x: string, matrix: Matrix): RowSums {
    const known = this.#steps.get(x);
    if (known !== undefined) return known;
    const graph = this.#graph;
    const { step, zeroPoint } = matrix.afterGelu === true ? GELU_STEPS : ROW_STEPS;
    const scale = graph.op('Mul', [this.#peakOf(x, matrix.afterGelu), graph.scalar(step)]);
    const zeroPoints = this.#zeroPointsOf(scale, zeroPoint, matrix.commonRows === true);
    const steps = graph.op('QuantizeLinear', [x, scale, zeroPoints], { axis: 1, block_size: matrix.inputs });
    const rows: RowSums = { steps, rowSteps: { step: 1, zeroPoint }, scale };
    this.#steps.set(x, rows);
    return rows;
  }

  /** The same with fewer operators, for few rows. */
  #dividedSteps(x: string, matrix: Matrix): RowSums {
    if (matrix.afterGelu !== true) {
      const { peak, steps } = this.#quantized(x, true);
      return { steps, rowSteps: ROW_STEPS, scale: peak };
    }
    const peak = this.#peakOf(x, true);
    return { steps: this.#toSteps(this.#dividedBy(x, peak, true), GELU_STEPS), rowSteps: GELU_STEPS, scale: peak };
  }

  /** The largest magnitude of each row, [rows, 1]. GELU's outputs have no large ones below 0: theirs is the maximum. */
  #peakOf(x: string, afterGelu = false): string {
    const graph = this.#graph;
    const values = afterGelu ? x : graph.op('Abs', [x]);
    const highest = graph.op('ReduceMax', [values, graph.integers(-1)], { keepdims: 1 });
    return afterGelu ? graph.op('Max', [highest, graph.scalar(GELU_MIN_PEAK)]) : highest;
  }

  #zeroPointsOf(scale: string, zeroPoint: number, isCommon: boolean): string {
    const known = isCommon ? this.#zeroPoints.get(zeroPoint) : undefined;
    if (known !== undefined) return known;
    const graph = this.#graph;
    const bytes = graph.op('Expand', [graph.byte(zeroPoint), graph.op('Shape', [scale])]);
    if (isCommon) this.#zeroPoints.set(zeroPoint, bytes);
    return bytes;
  }

  /** A product with weights of `quantizeBlocks` that are in the graph already. */
  blocks(x: string, { weights, scales, outputs, inputs }: BlockProduct): string {
    return this.#graph.runtimeOp('MatMulNBits', [x, weights, scales], {
      K: inputs,
      N: outputs,
      bits: 8,
      block_size: BLOCK_SIZE,
      accuracy_level: 4,
    });
  }

  #integers(steps: string, weights: string, { step, zeroPoint }: RowSteps, scales: string): string {
    const graph = this.#graph;
    return graph.runtimeOp('MatMulIntegerToFloat', [steps, weights, graph.scalar(step), scales, graph.byte(zeroPoint)]);
  }

  #toSteps(values: string, { step, zeroPoint }: RowSteps): string {
    const graph = this.#graph;
    return graph.op('QuantizeLinear', [values, graph.scalar(step), graph.byte(zeroPoint)]);
  }

  /** Each row by its peak. Div takes twice as long for many rows, but of one row two operators take longer than one. */
  #dividedBy(x: string, peak: string, fewNodes: boolean): string {
    if (fewNodes) return this.#graph.op('Div', [x, peak]);
    return this.#graph.op('Mul', [x, this.#graph.op('Reciprocal', [peak])]);
  }

  /** A row of zeros has 0 times infinity: whatever steps come of it, the product is then taken times 0. */
  #quantized(x: string, fewNodes = false): QuantizedRows {
    const known = this.#rows.get(x);
    if (known !== undefined) return known;
    const peak = this.#peakOf(x);
    const scaled = this.#dividedBy(x, peak, fewNodes);
    const rows: QuantizedRows = { peak, scaled, steps: this.#toSteps(scaled, ROW_STEPS) };
    this.#rows.set(x, rows);
    return rows;
  }

  #rest(x: string, fewNodes = false): string {
    const graph = this.#graph;
    const rows = this.#quantized(x, fewNodes);
    rows.rest ??= this.#toSteps(
      graph.op('Sub', [
        rows.scaled,
        graph.op('DequantizeLinear', [rows.steps, graph.scalar(ROW_STEPS.step), graph.byte(ROW_STEPS.zeroPoint)]),
      ]),
      REST_STEPS,
    );
    return rows.rest;
  }
}
