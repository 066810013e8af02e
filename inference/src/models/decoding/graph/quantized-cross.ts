import { pastName, presentName, RUNTIME_DOMAIN } from '@heimdex/onnx';
import { node, type OnnxGraph, type OnnxModel, type OnnxNode, type OnnxValue, tensor } from '../../../onnx/index.js';

/** Version of the change, for optimized models of it. */
export const QUANTIZED_CROSS = 'cross-8-bit-3';

/** The element type in a Cast. */
const FLOAT32 = 1;
/** More rows than a prompt has: a scale applies to a position of all of them. */
const ALL_ROWS = 1 << 20;
/** The first opset with a scale per block of rows. */
const OPSET = 21n;
const CONSTANTS = {
  lastAxis: 'heimdex_cross_axis',
  /** Steps of keys, values and queries: their peak is 127 of them. */
  step: 'heimdex_cross_step',
  one: 'heimdex_cross_one',
  int8Zero: 'heimdex_cross_int8_zero',
  queryZero: 'heimdex_cross_query_zero',
  /** A query of zeros, to be as long as keys are. */
  queryZeros: 'heimdex_cross_query_zeros',
  /** The step of a query times that of a key. */
  productStep: 'heimdex_cross_product_step',
  /** Steps of the weights, from 0 to their peak, and of what their rounding leaves. */
  weightStep: 'heimdex_cross_weight_step',
  weightZero: 'heimdex_cross_weight_zero',
  halfStep: 'heimdex_cross_half_step',
  restStep: 'heimdex_cross_rest_step',
} as const;

const scaleOf = (name: string) => `${name}_scale`;
/** What the scores of queries that are all 0 come to, whose steps are 128. */
const shiftOf = (name: string) => `${name}_shift`;

/** Keys or values as both graphs declare them: 8-bit numbers, in place of floats [audios, heads, positions, size], and what goes with them. */
function valuesOf(float: OnnxValue, side: 'key' | 'value'): OnnxValue[] {
  const { name } = float;
  const [audios = null, heads = null, positions = null, size = null] = float.dims ?? [];
  const dims = side === 'key' ? [audios, heads, size, positions] : [audios, heads, positions, size];
  const extras = side === 'key' ? [scaleOf(name), shiftOf(name)] : [scaleOf(name)];
  return [
    { ...float, elementType: 'int8', dims },
    ...extras.map((extra): OnnxValue => ({ name: extra, elementType: 'float32', dims: [audios, heads, 1, positions] })),
  ];
}

/**
 * Changes a compiled pair of graphs so that the cross attention's keys and values are 8-bit numbers with a scale per position and head.
 * A step reads all of them, and memory is what limits it: a quarter of the bytes take half of the time. Queries have 8 bits and the
 * weights 16, as two rows of 8: many small weights together matter, and 8 bits of the largest would round them to 0. Before a decoder in
 * float32 the scores have cosine 0.9996 or more to those of keys and values in float32 (Whisper base, 156 tokens). Modifies both models, or
 * none: returns false for graphs of another structure or precision. Only for CPUs whose 8-bit product is exact.
 */
export function quantizeCross(decoder: OnnxModel, cross: OnnxModel): boolean {
  const layers = decoder.graph.inputs.flatMap(({ name }) => ENCODER_KEY.exec(name)?.[1] ?? []);
  const attentions = layers.map((layer) => attentionOf(decoder.graph, layer));
  const sources = layers.map((layer) => (['key', 'value'] as const).map((side) => sourceOf(cross.graph, layer, side)));
  // Whoever compiled to more bits wants them, and the compiler falls back to them for a decoder that 8 bits are too few for.
  if (![decoder, cross].every(({ graph }) => graph.nodes.some(({ opType }) => EIGHT_BIT_PRODUCTS.has(opType))))
    return false;
  if (layers.length === 0 || attentions.includes(undefined) || sources.flat().includes(undefined)) return false;
  for (const attention of attentions) if (attention !== undefined) attend(decoder.graph, attention);
  for (const source of sources.flat()) if (source !== undefined) quantize(cross.graph, source);
  for (const { graph, opsets } of [decoder, cross]) {
    graph.initializers.push(...constants());
    graph.shapes = [];
    opsets.set(RUNTIME_DOMAIN, 1n);
    opsets.set('', OPSET);
  }
  return true;
}

const EIGHT_BIT_PRODUCTS: ReadonlySet<string> = new Set(['MatMulIntegerToFloat', 'MatMulNBits']);

const ENCODER_KEY = /^past_key_values\.(\d+)\.encoder\.key$/;

/** The nodes of a layer's cross attention: scores are queries times transposed keys, the context weights times values. */
interface Attention {
  readonly key: string;
  readonly value: string;
  readonly transpose: OnnxNode;
  readonly scores: OnnxNode;
  readonly context: OnnxNode;
}

function attentionOf({ nodes }: OnnxGraph, layer: string): Attention | undefined {
  const key = pastName(layer, 'encoder', 'key');
  const value = pastName(layer, 'encoder', 'value');
  const reader = (opType: string, name: string | undefined, at: number) => {
    const found = nodes.filter((one) => one.opType === opType && name !== undefined && one.inputs[at] === name);
    return found.length === 1 ? found[0] : undefined;
  };
  const transpose = reader('Transpose', key, 0);
  const scores = reader('MatMul', transpose?.outputs[0], 1);
  const context = reader('MatMul', value, 1);
  if (transpose === undefined || scores === undefined || context === undefined) return undefined;
  return { key, value, transpose, scores, context };
}

function attend(graph: OnnxGraph, { key, value, transpose, scores, context }: Attention): void {
  const { lastAxis, step, one, queryZero, weightStep, weightZero, halfStep, restStep } = CONSTANTS;
  const [queries = ''] = scores.inputs;
  const [product = ''] = scores.outputs;
  const own = (name: string) => `${product}/heimdex_${name}`;
  replace(graph, scores, [
    node('Abs', [queries], [own('abs')]),
    node('ReduceMax', [own('abs'), lastAxis], [own('peak')], { keepdims: 1 }),
    node('Div', [queries, own('peak')], [own('scaled')]),
    node('QuantizeLinear', [own('scaled'), step, queryZero], [own('steps')]),
    // Of one row without a zero point the runtime reads the keys as they lie; otherwise it packs them first, which takes longer than the
    // product.
    node('MatMulInteger', [own('steps'), key], [own('sums')]),
    node('DequantizeLinear', [own('sums'), scaleOf(key)], [own('shifted')], { axis: 2, block_size: ALL_ROWS }),
    node('Sub', [own('shifted'), shiftOf(key)], [own('product')]),
    node('Mul', [own('product'), own('peak')], [product]),
  ]);
  const [weights = ''] = context.inputs;
  const [sum = ''] = context.outputs;
  const its = (name: string) => `${sum}/heimdex_${name}`;
  replace(graph, context, [
    node('Mul', [weights, scaleOf(value)], [its('weights')]),
    node('ReduceMax', [its('weights'), lastAxis], [its('peak')], { keepdims: 1 }),
    node('Reciprocal', [its('peak')], [its('inverse')]),
    node('Mul', [its('weights'), its('inverse')], [its('scaled')]),
    // Half a step less before rounding is rounding down: the rest is not negative, and both are rows of one product, which packs the
    // values once.
    node('Sub', [its('scaled'), halfStep], [its('lowered')]),
    node('QuantizeLinear', [its('lowered'), weightStep, weightZero], [its('steps')]),
    node('DequantizeLinear', [its('steps'), weightStep, weightZero], [its('rounded')]),
    node('Sub', [its('scaled'), its('rounded')], [its('rest')]),
    node('QuantizeLinear', [its('rest'), restStep, weightZero], [its('rest_steps')]),
    node('Concat', [its('steps'), its('rest_steps')], [its('both_steps')], { axis: 2 }),
    node(
      'MatMulIntegerToFloat',
      [its('both_steps'), value, weightStep, one, weightZero],
      [its('both')],
      {},
      RUNTIME_DOMAIN,
    ),
    node('Split', [its('both')], [its('first'), its('second')], { axis: 2, num_outputs: 2 }),
    node('Mul', [its('second'), weightStep], [its('small')]),
    node('Add', [its('first'), its('small')], [its('sum')]),
    node('Mul', [its('sum'), its('peak')], [sum]),
  ]);
  replace(graph, transpose, []);
  graph.inputs = graph.inputs.flatMap((input) => {
    if (input.name !== key && input.name !== value) return [input];
    return valuesOf(input, input.name === key ? 'key' : 'value');
  });
}

/** Keys or values as [audios, positions, heads, size], and the nodes that turn them into an output. */
interface Source {
  readonly name: string;
  readonly side: 'key' | 'value';
  readonly transpose: OnnxNode;
  readonly identity: OnnxNode;
}

function sourceOf({ nodes }: OnnxGraph, layer: string, side: 'key' | 'value'): Source | undefined {
  const name = presentName(layer, 'encoder', side);
  const identity = nodes.find(({ opType, outputs }) => opType === 'Identity' && outputs[0] === name);
  const transpose = nodes.find(
    ({ opType, outputs }) => opType === 'Transpose' && outputs[0] !== undefined && outputs[0] === identity?.inputs[0],
  );
  const order = transpose?.attributes.find((one) => one.name === 'perm')?.ints?.join();
  if (identity === undefined || transpose === undefined || order !== '0,2,1,3') return undefined;
  return { name, side, transpose, identity };
}

function quantize(graph: OnnxGraph, { name, side, transpose, identity }: Source): void {
  const { lastAxis, step, productStep, int8Zero } = CONSTANTS;
  const [values = ''] = transpose.inputs;
  const own = (part: string) => `${name}/heimdex_${part}`;
  replace(graph, identity, []);
  replace(graph, transpose, [
    node('Abs', [values], [own('abs')]),
    node('ReduceMax', [own('abs'), lastAxis], [own('peak')], { keepdims: 1 }),
    node('Div', [values, own('peak')], [own('scaled')]),
    // A position of zeros is 0 / 0: whatever steps come of it are taken times a scale of 0.
    node('QuantizeLinear', [own('scaled'), step, int8Zero], [own('steps')]),
    node('Transpose', [own('steps')], [name], { perm: side === 'key' ? [0, 2, 3, 1] : [0, 2, 1, 3] }),
    // A key's scale is that of its products: the queries' steps are in it.
    node('Mul', [own('peak'), side === 'key' ? productStep : step], [own('scale')]),
    node('Transpose', [own('scale')], [scaleOf(name)], { perm: [0, 2, 3, 1] }),
    ...(side === 'key' ? shiftNodes(name, own) : []),
  ]);
  graph.outputs = graph.outputs.flatMap((output) => {
    if (output.name !== name) return [output];
    return valuesOf(output, side);
  });
}

/** The product of keys and queries that are all 0. */
function shiftNodes(name: string, own: (part: string) => string): OnnxNode[] {
  return [
    node('Shape', [name], [own('size')], { start: 2, end: 3 }),
    node('Expand', [CONSTANTS.queryZeros, own('size')], [own('zero_query')]),
    node('MatMulInteger', [own('zero_query'), name], [own('sums')]),
    node('Cast', [own('sums')], [own('floats')], { to: FLOAT32 }),
    node('Mul', [own('floats'), scaleOf(name)], [shiftOf(name)]),
  ];
}

function replace(graph: OnnxGraph, old: OnnxNode, by: readonly OnnxNode[]): void {
  graph.nodes.splice(graph.nodes.indexOf(old), 1, ...by);
}

function constants() {
  const number = (name: string, value: number) => tensor(name, [], Float32Array.of(value));
  return [
    tensor(CONSTANTS.lastAxis, [1], BigInt64Array.of(-1n)),
    tensor(CONSTANTS.int8Zero, [], Int8Array.of(0)),
    tensor(CONSTANTS.queryZero, [], Uint8Array.of(128)),
    tensor(CONSTANTS.queryZeros, [1, 1], Uint8Array.of(128)),
    tensor(CONSTANTS.weightZero, [], Uint8Array.of(0)),
    number(CONSTANTS.one, 1),
    number(CONSTANTS.step, 1 / 127),
    number(CONSTANTS.productStep, 1 / (127 * 127)),
    number(CONSTANTS.weightStep, 1 / 255),
    number(CONSTANTS.halfStep, 0.5 / 255),
    number(CONSTANTS.restStep, 1 / (255 * 255)),
  ];
}
