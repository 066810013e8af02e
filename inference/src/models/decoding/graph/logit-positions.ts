import { WHISPER_VALUES } from '@heimdex/onnx';
import { GraphIndex, node, type OnnxGraph, type OnnxNode } from '../../../onnx/index.js';

/** Input with the positions of `input_ids` to return logits for. */
export const LOGIT_POSITIONS = WHISPER_VALUES.logitPositions;

/** Operators allowed between the vocabulary projection and `logits`. */
const BEHIND_PRODUCT = new Set(['Mul', 'Cast', 'Add']);
const PRODUCTS = new Set(['MatMul', 'MatMulInteger', 'MatMulNBits']);

/**
 * Makes a decoder return logits only for selected positions. Of a prompt of 200 tokens one or two are used, and the
 * vocabulary projection is the most expensive operator of the graph. Adds the input `heimdex_logit_positions` (int64,
 * any length). Transforms the graph and each branch of its If. Returns false and leaves the graph unchanged when its
 * structure differs.
 */
export function chooseLogitPositions(graph: OnnxGraph): boolean {
  const at = graph.outputs.findIndex(({ name }) => name === 'logits');
  if (at < 0) return false;
  const branch = graph.nodes.find(({ opType, outputs }) => opType === 'If' && outputs[at] === 'logits');
  const graphs = branch === undefined ? [graph] : branch.attributes.flatMap((attribute) => attribute.graph ?? []);
  const matches = graphs.map((part) => findHidden(part, part.outputs[at]?.name));
  if (matches.length === 0 || !matches.every((match) => match !== undefined)) return false;
  matches.forEach((match, index) => {
    const chosen = `heimdex_chosen_${index}`;
    const part = graphs[index];
    part?.nodes.splice(
      part.nodes.indexOf(match.reader),
      0,
      node('Gather', [match.hidden, LOGIT_POSITIONS], [chosen], { axis: 1 }),
    );
    match.reader.inputs[0] = chosen;
    if (part !== undefined) part.shapes = [];
  });
  graph.inputs.push({ name: LOGIT_POSITIONS, elementType: 'int64', dims: ['logit_positions'] });
  const logits = graph.outputs[at];
  if (logits?.dims !== undefined) logits.dims[1] = 'logit_positions';
  graph.shapes = [];
  return true;
}

/** The node that reads the last layer's output for the vocabulary projection, and that output's name. */
function findHidden(
  graph: OnnxGraph,
  logits: string | undefined,
): { readonly reader: OnnxNode; readonly hidden: string } | undefined {
  const index = new GraphIndex(graph);
  const product = findProduct(index, logits);
  if (product === undefined) return undefined;
  const reader = index.maker(product.inputs[0], 'DynamicQuantizeLinear') ?? product;
  // Quantized once for several readers, all of which would see only the selected positions.
  const quantized = reader.outputs[0] ?? '';
  if (reader !== product && graph.nodes.some((one) => one !== product && one.inputs.includes(quantized))) {
    return undefined;
  }
  const [hidden] = reader.inputs;
  return hidden === undefined ? undefined : { reader, hidden };
}

/** The product whose result becomes `name` through scaling, casting and adding only. */
function findProduct(index: GraphIndex, name: string | undefined): OnnxNode | undefined {
  const maker = index.maker(name);
  if (maker === undefined || PRODUCTS.has(maker.opType)) return maker;
  if (!BEHIND_PRODUCT.has(maker.opType)) return undefined;
  for (const input of maker.inputs) {
    const product = findProduct(index, input);
    if (product !== undefined) return product;
  }
  return undefined;
}
