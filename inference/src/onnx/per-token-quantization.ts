import type { OnnxGraph, OnnxModel, OnnxNode } from '@heimdex/onnx';
import { GELU_MIN_PEAK, GELU_STEPS, node, ROW_STEPS, RUNTIME_DOMAIN, tensor } from '@heimdex/onnx';
import { dropDead } from './dead-nodes.js';
import { isGelu } from './gelu.js';
import { branchesOf, GraphIndex } from './graph-index.js';
import { isOverflowSafe, overflowSafe, type ReadTensor, readInline, type Weights } from './overflow-safe-weights.js';

/** Names of the constants with which rows are quantized. */
const ROWS = { step: 'heimdex_row_scale', zeroPoint: 'heimdex_row_zero' };
const GELU_ROWS = { step: 'heimdex_gelu_scale', zeroPoint: 'heimdex_gelu_zero' };
const GELU_PEAK_NAME = 'heimdex_gelu_peak';
const AXES_NAME = 'heimdex_row_axes';
/** Name suffix of activations quantized per row. */
const QUANTIZED = '/heimdex_quantized';

/** A product of an int8 graph, as written by quantize_dynamic: its nodes and inputs. */
interface Product {
  readonly multiply: OnnxNode;
  readonly cast: OnnxNode;
  readonly scale: OnnxNode;
  /** The node that quantizes the activations, and its graph. */
  readonly quantize: OnnxNode;
  readonly quantizeIn: OnnxGraph;
  /** Whether the activations are GELU's: they have no large magnitudes below 0. */
  readonly afterGelu: boolean;
  readonly weights: Weights;
}

/**
 * Changes a dynamic int8 graph to scale its activations per row (token) instead of per tensor. quantize_dynamic uses one scale for
 * all tokens of all sequences: one row with large values reduces the precision of all others, and a row's result depends on its
 * batch. CTranslate2 also uses one scale per row. GELU's outputs are rounded as in compiled graphs. Weights available from `read` are
 * made overflow-safe (`makeOverflowSafe`): the fast product of every CPU is exact with them. Also handles branches of If. Returns the
 * number of changed products; products of other forms are not changed.
 */
export function quantizePerToken(model: OnnxModel, read: ReadTensor = readInline): number {
  const { graph } = model;
  const axesAsInput = (model.opsets.get('') ?? 0n) >= 18n;
  const branches = branchesOf(graph);
  const found = [graph, ...branches].map((part) => ({ part, products: findProducts(part, graph) }));
  const products = found.flatMap((one) => one.products);
  if (products.length === 0) return 0;
  const safeWeights = overflowSafe(
    products.map((product) => product.weights),
    read,
  );
  for (const { part, products: own } of found) {
    for (const product of own) {
      replace(part, product, safeWeights.get(product.weights.values) ?? product.weights, axesAsInput);
    }
  }
  // Branches first: nodes of the outer graph that they no longer read are removed with it.
  for (const part of [...branches, graph]) {
    dropDead(part);
    part.shapes = [];
  }
  const stillRead = new Set(graph.outputs.map(({ name }) => name));
  collectReads(graph, stillRead);
  graph.initializers = graph.initializers.filter((one) => !safeWeights.has(one) || stillRead.has(one.name));
  graph.initializers.push(
    tensor(ROWS.step, [], Float32Array.of(ROW_STEPS.step)),
    tensor(ROWS.zeroPoint, [], Uint8Array.of(ROW_STEPS.zeroPoint)),
    ...[...safeWeights.values()].flatMap(({ values, scale }) => [values, scale]),
  );
  if (products.some(({ afterGelu }) => afterGelu)) {
    graph.initializers.push(
      tensor(GELU_ROWS.step, [], Float32Array.of(GELU_STEPS.step)),
      tensor(GELU_ROWS.zeroPoint, [], Uint8Array.of(GELU_STEPS.zeroPoint)),
      tensor(GELU_PEAK_NAME, [], Float32Array.of(GELU_MIN_PEAK)),
    );
  }
  if (axesAsInput) graph.initializers.push(tensor(AXES_NAME, [1], BigInt64Array.of(-1n)));
  if (!model.opsets.has(RUNTIME_DOMAIN)) model.opsets.set(RUNTIME_DOMAIN, 1n);
  return products.length;
}

/** Operators that multiply 8-bit numbers, or that the runtime converts to such. */
const BYTE_PRODUCTS: ReadonlySet<string> = new Set([
  'MatMulInteger',
  'MatMulIntegerToFloat',
  'ConvInteger',
  'DynamicQuantizeMatMul',
  'QLinearMatMul',
  'QLinearConv',
  'QGemm',
  'QAttention',
  'QuantizeLinear',
]);

/**
 * Returns whether the fast 8-bit product of x86 CPUs without VNNI may overflow in a graph. It cannot if all products are those of
 * `quantizePerToken` with overflow-safe weights.
 */
export function mayOverflow(graph: OnnxGraph): boolean {
  const mayHere = graph.nodes.some(({ opType, inputs, outputs }) => {
    const ours = inputs.some(isOverflowSafe) || outputs.some((name) => name.endsWith(QUANTIZED));
    return BYTE_PRODUCTS.has(opType) && !ours;
  });
  return mayHere || branchesOf(graph).some(mayOverflow);
}

function findProducts(part: OnnxGraph, outer: OnnxGraph): readonly Product[] {
  const weights = new Map(outer.initializers.map((constant) => [constant.name, constant]));
  const index = new GraphIndex(part, outer);
  return part.nodes.flatMap((multiply) => {
    if (multiply.opType !== 'MatMulInteger') return [];
    const [activations = '', weightsName = '', , zeroName = ''] = multiply.inputs;
    const quantize = index.maker(activations, 'DynamicQuantizeLinear');
    const cast = index.reader(multiply.outputs[0], 'Cast');
    const scale = index.reader(cast?.outputs[0], 'Mul');
    const scalesName = scale?.inputs.find((name) => name !== cast?.outputs[0]);
    const scales = index.maker(scalesName, 'Mul');
    const weightScale = weights.get(scales?.inputs.find((name) => name !== quantize?.outputs[1]) ?? '');
    const weightValues = weights.get(weightsName);
    const weightZero = weights.get(zeroName);
    if (
      quantize === undefined ||
      cast === undefined ||
      scale === undefined ||
      scales === undefined ||
      weightValues === undefined ||
      weightScale === undefined ||
      (zeroName !== '' && weightZero === undefined)
    ) {
      return [];
    }
    return [
      {
        multiply,
        cast,
        scale,
        quantize,
        quantizeIn: part.nodes.includes(quantize) ? part : outer,
        afterGelu: isGelu(quantize.inputs[0] ?? '', index),
        weights: { values: weightValues, scale: weightScale, zero: weightZero },
      },
    ];
  });
}

function replace(part: OnnxGraph, product: Product, weights: Weights, axesAsInput: boolean): void {
  const [values = ''] = product.quantize.inputs;
  const name = (what: string) => `${values}/heimdex_${what}`;
  const rows = product.afterGelu ? GELU_ROWS : ROWS;
  if (!product.quantizeIn.nodes.some(({ outputs }) => outputs[0] === name('quantized'))) {
    const highest = (of: string, result: string) =>
      axesAsInput
        ? node('ReduceMax', [of, AXES_NAME], [result], { keepdims: 1 })
        : node('ReduceMax', [of], [result], { axes: [-1], keepdims: 1 });
    product.quantizeIn.nodes.splice(
      product.quantizeIn.nodes.indexOf(product.quantize),
      0,
      ...(product.afterGelu
        ? [highest(values, name('highest')), node('Max', [name('highest'), GELU_PEAK_NAME], [name('peak')])]
        : [node('Abs', [values], [name('magnitude')]), highest(name('magnitude'), name('peak'))]),
      // A row of zeros quantizes 0 times infinity to an arbitrary value, but its scale of 0 makes the product 0. Dividing by the peak takes
      // twice as long as multiplying.
      node('Reciprocal', [name('peak')], [name('inverse')]),
      node('Mul', [values, name('inverse')], [name('scaled')]),
      node('QuantizeLinear', [name('scaled'), rows.step, rows.zeroPoint], [name('quantized')]),
    );
  }
  const [result = ''] = product.scale.outputs;
  part.nodes.splice(
    part.nodes.indexOf(product.multiply),
    0,
    node(
      'MatMulIntegerToFloat',
      [
        name('quantized'),
        weights.values.name,
        rows.step,
        weights.scale.name,
        rows.zeroPoint,
        ...(weights.zero === undefined ? [] : [weights.zero.name]),
      ],
      [`${result}/heimdex_unscaled`],
      {},
      RUNTIME_DOMAIN,
    ),
    node('Mul', [`${result}/heimdex_unscaled`, name('peak')], [result]),
  );
  const gone = new Set([product.multiply, product.cast, product.scale]);
  part.nodes = part.nodes.filter((one) => !gone.has(one));
}

function collectReads(graph: OnnxGraph, read: Set<string>): void {
  for (const { inputs } of graph.nodes) for (const name of inputs) read.add(name);
  for (const branch of branchesOf(graph)) collectReads(branch, read);
}
