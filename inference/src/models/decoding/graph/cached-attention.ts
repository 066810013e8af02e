/** Finds the attention of the cached branch of a decoder in the form exporters write. */
import { pastName } from '@heimdex/onnx';
import { type OnnxGraph, type OnnxNode, Readers } from '../../../onnx/index.js';

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

/** Lookups in a branch. */
export class BranchIndex extends Readers {
  readonly #roots: ReadonlySet<string>;

  constructor(branch: OnnxGraph) {
    super(branch);
    this.#roots = new Set(branch.nodes.flatMap(({ opType, outputs }) => (opType === 'Sqrt' ? outputs : [])));
  }

  /** The product that reads the keys of this name, which may be scaled: in exports by the square root of a number. */
  product(keys: string | undefined): ScoreProduct | undefined {
    const turn = this.only(keys, 'Transpose');
    const times = this.only(turn?.outputs[0], 'Mul');
    const factor = times?.inputs.find((name) => this.#roots.has(name));
    const turned = (times ?? turn)?.outputs[0];
    const multiply = this.only(turned, 'MatMul');
    if (turn === undefined || multiply === undefined || multiply.inputs[1] !== turned) return undefined;
    if (times !== undefined && factor === undefined) return undefined;
    return { turn, scale: times && factor ? { node: times, factor } : undefined, multiply };
  }
}

/** Finds both attentions of a layer; undefined when they have another structure. */
export function attentionsOf(
  layer: string,
  branchIndex: BranchIndex,
): { readonly self: SelfAttention; readonly cross: CrossAttention } | undefined {
  const self = selfAt(pastName(layer, 'decoder', 'key'), pastName(layer, 'decoder', 'value'), branchIndex);
  const cross = crossAt(pastName(layer, 'encoder', 'key'), pastName(layer, 'encoder', 'value'), branchIndex);
  return self === undefined || cross === undefined ? undefined : { self, cross };
}

function selfAt(key: string, value: string, branchIndex: BranchIndex): SelfAttention | undefined {
  const keys = branchIndex.only(key, 'Concat');
  const values = branchIndex.only(value, 'Concat');
  const product = branchIndex.product(keys?.outputs[0]);
  const scores = product?.multiply.outputs[0];
  const mask = branchIndex.only(scores, 'Add');
  const softmax = branchIndex.only(mask?.outputs[0] ?? scores, 'Softmax');
  const weighted = branchIndex.only(values?.outputs[0], 'MatMul');
  if (keys === undefined || values === undefined || product === undefined) return undefined;
  if (softmax === undefined || weighted === undefined || !isOverLast(softmax)) return undefined;
  const fits =
    keys.inputs.length === 2 &&
    values.inputs.length === 2 &&
    keys.inputs[0] === key &&
    values.inputs[0] === value &&
    branchIndex.only(softmax.outputs[0], 'MatMul') === weighted &&
    weighted.inputs[1] === values.outputs[0];
  return fits ? { keys, values, product, mask, softmax, weighted } : undefined;
}

function crossAt(key: string, value: string, branchIndex: BranchIndex): CrossAttention | undefined {
  const product = branchIndex.product(key);
  const scores = product?.multiply.outputs[0];
  const softmax = branchIndex.only(branchIndex.only(scores, 'Add')?.outputs[0] ?? scores, 'Softmax');
  const weighted = branchIndex.only(value, 'MatMul');
  if (product === undefined || softmax === undefined || weighted === undefined || !isOverLast(softmax))
    return undefined;
  const fits = weighted.inputs[0] === softmax.outputs[0] && weighted.inputs[1] === value;
  return fits ? { product, weighted } : undefined;
}

/** Whether a softmax is over the last dimension of the scores. */
export function isOverLast({ attributes }: OnnxNode): boolean {
  return [-1n, 3n].includes(attributes.find(({ name }) => name === 'axis')?.int ?? -1n);
}
