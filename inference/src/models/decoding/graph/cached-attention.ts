/** Finds the attention of a decoder's branch that goes on from a cache, as exports write it out. */
import { type OnnxGraph, type OnnxNode, Readers } from '../../../onnx/index.js';

/** Attention to the tokens of the cache and the new one. */
export interface SelfAttention {
  /** Joins the cache with the new token. */
  readonly keys: OnnxNode;
  readonly values: OnnxNode;
  readonly product: ScoreProduct;
  /** Adds the mask to the scores, where there is one. */
  readonly mask: OnnxNode | undefined;
  readonly softmax: OnnxNode;
  readonly weighted: OnnxNode;
}

/** Attention to the audio. */
export interface CrossAttention {
  readonly product: ScoreProduct;
  readonly weighted: OnnxNode;
}

/** The product of queries with keys. */
export interface ScoreProduct {
  /** Turns the keys. */
  readonly turn: OnnxNode;
  /** Multiplies them by a number, where the export shares the scale out to both sides. */
  readonly scale: { readonly node: OnnxNode; readonly factor: string } | undefined;
  readonly multiply: OnnxNode;
}

/** What is to be known of a branch. */
export class BranchLook extends Readers {
  readonly #roots: ReadonlySet<string>;

  constructor(branch: OnnxGraph) {
    super(branch);
    this.#roots = new Set(branch.nodes.flatMap(({ opType, outputs }) => (opType === 'Sqrt' ? outputs : [])));
  }

  /** The product that reads the keys of this name, which may have a scale: in exports the square root of a number. */
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

/** Both attentions of a layer; undefined when they are written in another way. */
export function attentionsOf(
  layer: string,
  look: BranchLook,
): { readonly self: SelfAttention; readonly cross: CrossAttention } | undefined {
  const past = (part: string, side: string) => `past_key_values.${layer}.${part}.${side}`;
  const self = selfAt(past('decoder', 'key'), past('decoder', 'value'), look);
  const cross = crossAt(past('encoder', 'key'), past('encoder', 'value'), look);
  return self === undefined || cross === undefined ? undefined : { self, cross };
}

function selfAt(key: string, value: string, look: BranchLook): SelfAttention | undefined {
  const keys = look.only(key, 'Concat');
  const values = look.only(value, 'Concat');
  const product = look.product(keys?.outputs[0]);
  const scores = product?.multiply.outputs[0];
  const mask = look.only(scores, 'Add');
  const softmax = look.only(mask?.outputs[0] ?? scores, 'Softmax');
  const weighted = look.only(values?.outputs[0], 'MatMul');
  if (keys === undefined || values === undefined || product === undefined) return undefined;
  if (softmax === undefined || weighted === undefined || !isOverLast(softmax)) return undefined;
  const fits =
    keys.inputs.length === 2 &&
    values.inputs.length === 2 &&
    keys.inputs[0] === key &&
    values.inputs[0] === value &&
    look.only(softmax.outputs[0], 'MatMul') === weighted &&
    weighted.inputs[1] === values.outputs[0];
  return fits ? { keys, values, product, mask, softmax, weighted } : undefined;
}

function crossAt(key: string, value: string, look: BranchLook): CrossAttention | undefined {
  const product = look.product(key);
  const scores = product?.multiply.outputs[0];
  const softmax = look.only(look.only(scores, 'Add')?.outputs[0] ?? scores, 'Softmax');
  const weighted = look.only(value, 'MatMul');
  if (product === undefined || softmax === undefined || weighted === undefined || !isOverLast(softmax))
    return undefined;
  const fits = weighted.inputs[0] === softmax.outputs[0] && weighted.inputs[1] === value;
  return fits ? { product, weighted } : undefined;
}

/** Whether a softmax is over the last dimension of scores. */
export function isOverLast({ attributes }: OnnxNode): boolean {
  return [-1n, 3n].includes(attributes.find(({ name }) => name === 'axis')?.int ?? -1n);
}
