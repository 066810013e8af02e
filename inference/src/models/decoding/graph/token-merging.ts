import { pastName, presentName, WHISPER_VALUES } from '@heimdex/onnx';
import { branchesOf, isOverLast, node, type OnnxGraph, type OnnxModel, type OnnxNode } from '../../../onnx/index.js';

/** Input added to the scores of every cross attention, float32 [audios or 1, 1, 1, positions or 1]. */
export const LOG_COUNTS = WHISPER_VALUES.encoderLogCounts;

/**
 * Lets a row of the encoder's output represent several positions, such as the silence after an utterance. The logarithm
 * of their number is added to the row's scores, which is equivalent to repeating the row; -Infinity masks a row. Adds
 * the input LOG_COUNTS. Transforms all branches or none: then it returns false and the graph is unchanged.
 */
export function addProportionalAttention({ graph }: OnnxModel): boolean {
  const layers = graph.inputs.flatMap(({ name }) => ENCODER_VALUE.exec(name)?.[1] ?? []);
  const matches = branchesOf(graph).flatMap((branch) =>
    layers.map((layer) => ({ branch, softmax: weightsOf(valuesOf(graph, branch, layer), branch) })),
  );
  if (matches.length === 0 || matches.some(({ softmax }) => softmax === undefined)) return false;
  for (const { branch, softmax } of matches) {
    const [scores = ''] = softmax?.inputs ?? [];
    if (softmax === undefined) continue;
    const weighted = `${scores}/heimdex_weighted`;
    branch.nodes.splice(branch.nodes.indexOf(softmax), 0, node('Add', [scores, LOG_COUNTS], [weighted]));
    softmax.inputs = [weighted];
    branch.shapes = [];
  }
  graph.inputs.push({ name: LOG_COUNTS, elementType: 'float32', dims: [null, 1, 1, null] });
  graph.shapes = [];
  return true;
}

const ENCODER_VALUE = /^past_key_values\.(\d+)\.encoder\.value$/;

/** The values of a layer's cross attention: read from the cache, or computed and written to it. */
function valuesOf(graph: OnnxGraph, branch: OnnxGraph, layer: string): readonly string[] {
  const at = graph.outputs.findIndex(({ name }) => name === presentName(layer, 'encoder', 'value'));
  return [pastName(layer, 'encoder', 'value'), branch.outputs[at]?.name ?? ''];
}

/** The node that computes the weights of these values. */
function weightsOf(values: readonly string[], { nodes }: OnnxGraph): OnnxNode | undefined {
  const readers = nodes.filter(({ opType, inputs }) => opType === 'MatMul' && values.includes(inputs[1] ?? ''));
  const [weights] = readers[0]?.inputs ?? [];
  const softmax = nodes.find(({ opType, outputs }) => opType === 'Softmax' && outputs[0] === weights);
  return readers.length === 1 && softmax !== undefined && isOverLast(softmax) ? softmax : undefined;
}
