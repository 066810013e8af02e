/** Finds the attention of the cached branch of a decoder in the form exporters write. */
import { pastName } from '@heimdex/onnx';
import { type GraphIndex, isOverLast, type OnnxNode } from '../../../onnx/index.js';

/** Attention to the cached tokens and the new one. */
export interface SelfAttention {
  /** Concatenates the cache and the new token. */
  readonly keys: OnnxNode;
  readonly values: OnnxNode;
  readonly product: ScoreProduct;
  /** Adds the mask to the scores, if there is one. */
  readonly mask: OnnxNode | undefined;
  readonly softmax: OnnxNode;
  readonly weighted: OnnxNode;
}

/** Cross attention. */
export interface CrossAttention {
  readonly product: ScoreProduct;
  readonly weighted: OnnxNode;
}

/** The product of queries and keys. */
export interface ScoreProduct {
  /** Transposes the keys. */
  readonly turn: OnnxNode;
  /** Scales the keys, where the export splits the scale between both sides. */
  readonly scale: { readonly node: OnnxNode; readonly factor: string } | undefined;
  readonly multiply: OnnxNode;
}

/** The product that reads the keys of this name, which may be scaled: in exports by the square root of a number. */
function productOf(keys: string | undefined, index: GraphIndex): ScoreProduct | undefined {
  const turn = index.reader(keys, 'Transpose');
  const times = index.reader(turn?.outputs[0], 'Mul');
  const factor = times?.inputs.find((name) => index.maker(name, 'Sqrt') !== undefined);
  const turned = (times ?? turn)?.outputs[0];
  const multiply = index.reader(turned, 'MatMul');
  if (turn === undefined || multiply === undefined || multiply.inputs[1] !== turned) return undefined;
  if (times !== undefined && factor === undefined) return undefined;
  return { turn, scale: times && factor ? { node: times, factor } : undefined, multiply };
}

/** Finds both attentions of a layer; undefined when they have another structure. */
export function attentionsOf(
  layer: string,
  index: GraphIndex,
): { readonly self: SelfAttention; readonly cross: CrossAttention } | undefined {
  const self = selfAt(pastName(layer, 'decoder', 'key'), pastName(layer, 'decoder', 'value'), index);
  const cross = crossAt(pastName(layer, 'encoder', 'key'), pastName(layer, 'encoder', 'value'), index);
  return self === undefined || cross === undefined ? undefined : { self, cross };
}

function selfAt(key: string, value: string, index: GraphIndex): SelfAttention | undefined {
  const keys = index.reader(key, 'Concat');
  const values = index.reader(value, 'Concat');
  const product = productOf(keys?.outputs[0], index);
  const scores = product?.multiply.outputs[0];
  const mask = index.reader(scores, 'Add');
  const softmax = index.reader(mask?.outputs[0] ?? scores, 'Softmax');
  const weighted = index.reader(values?.outputs[0], 'MatMul');
  if (keys === undefined || values === undefined || product === undefined) return undefined;
  if (softmax === undefined || weighted === undefined || !isOverLast(softmax)) return undefined;
  const fits =
    keys.inputs.length === 2 &&
    values.inputs.length === 2 &&
    keys.inputs[0] === key &&
    values.inputs[0] === value &&
    index.reader(softmax.outputs[0], 'MatMul') === weighted &&
    weighted.inputs[1] === values.outputs[0];
  return fits ? { keys, values, product, mask, softmax, weighted } : undefined;
}

function crossAt(key: string, value: string, index: GraphIndex): CrossAttention | undefined {
  const product = productOf(key, index);
  const scores = product?.multiply.outputs[0];
  const softmax = index.reader(index.reader(scores, 'Add')?.outputs[0] ?? scores, 'Softmax');
  const weighted = index.reader(value, 'MatMul');
  if (product === undefined || softmax === undefined || weighted === undefined || !isOverLast(softmax))
    return undefined;
  const fits = weighted.inputs[0] === softmax.outputs[0] && weighted.inputs[1] === value;
  return fits ? { product, weighted } : undefined;
}
