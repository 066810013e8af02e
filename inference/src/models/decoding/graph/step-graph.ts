import { WHISPER_VALUES } from '@heimdex/onnx';
import {
  branchesOf,
  dropDead,
  GraphIndex,
  node,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  tensor,
} from '../../../onnx/index.js';
import { attentionsOf, type CrossAttention, type ScoreProduct, type SelfAttention } from './cached-attention.js';

/** Input with the number of filled tokens in the cache, int64 [1]. */
export const PAST_LENGTH = WHISPER_VALUES.pastLength;
/** Input added to the scores of a step, float32 [1, 1, 1, capacity + 1]: 0 at filled positions, -Infinity elsewhere. */
export const STEP_MASK = WHISPER_VALUES.mask;

const CONSTANTS = {
  zero: 'heimdex_step_zero',
  one: 'heimdex_step_one',
  two: 'heimdex_step_two',
  three: 'heimdex_step_three',
  last: 'heimdex_step_last',
  end: 'heimdex_step_end',
  perAudio: 'heimdex_step_per_audio',
  perRow: 'heimdex_step_per_row',
} as const;

/** Swaps the second and third dimension: heads and tokens. */
const SWAPPED = { perm: [0, 2, 1, 3] } as const;

/**
 * Makes the cached branch of a merged decoder return only the new token's keys and values, instead of the whole cache
 * with them appended, and read a cache with spare capacity. The cache then stays in place: before, every step rewrote
 * it, and the runtime's binding copied every output again. A step's scores are the concatenation of those against
 * the cache and the one against the token itself. They are equal to the original scores, but the sums over them are in
 * another order.
 *
 * Where there are several sequences per audio (beams, samples), they share its cross-attention keys and values, one row
 * per audio; the sequences are laid out in its queries.
 *
 * Adds the inputs PAST_LENGTH and STEP_MASK. Only for graphs with decomposed attention in which nothing but a mask is
 * added to the scores, and for one token per step. Returns false and leaves the graph unchanged when its structure
 * differs.
 */
export function keepCacheInPlace({ graph }: OnnxModel): boolean {
  const branch = branchesOf(graph).find(({ nodes }) =>
    nodes.some((one) => one.opType === 'Concat' && DECODER_KEY.test(one.inputs[0] ?? '')),
  );
  const sizes = graph.inputs.find(({ name }) => DECODER_KEY.test(name))?.dims;
  if (branch === undefined || sizes === undefined) return false;
  const [, heads, , size] = sizes;
  if (typeof heads !== 'number' || typeof size !== 'number') return false;
  const index = new GraphIndex(branch);
  const layers = graph.inputs.flatMap(({ name }) => DECODER_KEY.exec(name)?.[1] ?? []);
  const found = layers.map((layer) => attentionsOf(layer, index));
  if (found.length === 0 || !found.every((layer) => layer !== undefined)) return false;

  for (const layer of found) {
    changeSelf(branch, layer.self);
    changeCross(branch, layer.cross);
  }
  countFilled(branch);
  branch.nodes.unshift(
    node('Shape', ['past_key_values.0.encoder.key'], ['heimdex_audio_shape']),
    node('Slice', ['heimdex_audio_shape', CONSTANTS.zero, CONSTANTS.one], ['heimdex_audio_count']),
    node('Concat', ['heimdex_audio_count', CONSTANTS.perAudio], ['heimdex_side_by_side'], { axis: 0 }),
  );
  dropDead(branch);
  branch.shapes = [];
  addInputs(graph, heads, size);
  return true;
}

const DECODER_KEY = /^past_key_values\.(\d+)\.decoder\.key$/;

function changeSelf(branch: OnnxGraph, attention: SelfAttention): void {
  const { keys, values, product, mask, softmax, weighted } = attention;
  const [pastKey = '', newKey = ''] = keys.inputs;
  const [pastValue = '', newValue = ''] = values.inputs;
  const { turn, multiply } = product;
  const [score = ''] = multiply.outputs;
  const [weight = ''] = softmax.outputs;
  const [result = ''] = weighted.outputs;
  const part = (name: string) => `${score}/heimdex_${name}`;

  turn.inputs = [pastKey];
  const query = scaleQuery(branch, product);
  rename(multiply, part('past'));
  replaceNode(branch, multiply, [
    multiply,
    node('Transpose', [newKey], [part('new_key')], { perm: permutation(turn) }),
    node('MatMul', [query, part('new_key')], [part('new')]),
    node('Concat', [part('past'), part('new')], [score], { axis: -1 }),
    node('Add', [score, STEP_MASK], [part('masked')]),
  ]);
  softmax.inputs = [part('masked')];
  if (mask !== undefined) replaceNode(branch, mask, []);
  replaceNode(branch, weighted, [
    node('Slice', [weight, CONSTANTS.zero, CONSTANTS.last, CONSTANTS.three], [part('weight_past')]),
    node('Slice', [weight, CONSTANTS.last, CONSTANTS.end, CONSTANTS.three], [part('weight_new')]),
    node('MatMul', [part('weight_past'), pastValue], [part('value_past')]),
    node('Mul', [part('weight_new'), newValue], [part('value_new')]),
    node('Add', [part('value_past'), part('value_new')], [result]),
  ]);
  for (const [join, own] of [
    [keys, newKey],
    [values, newValue],
  ] as const) {
    for (const output of branch.outputs) if (output.name === join.outputs[0]) output.name = own;
  }
}

function changeCross(branch: OnnxGraph, { product, weighted }: CrossAttention): void {
  const query = scaleQuery(branch, product);
  const { multiply } = product;
  const [result = ''] = weighted.outputs;
  const part = (name: string) => `${result}/heimdex_${name}`;
  multiply.inputs[0] = part('queries');
  replaceNode(branch, multiply, [
    node('Reshape', [query, 'heimdex_side_by_side'], [part('rows')]),
    node('Transpose', [part('rows')], [part('queries')], SWAPPED),
    multiply,
  ]);
  rename(weighted, part('side_by_side'));
  replaceNode(branch, weighted, [
    weighted,
    node('Transpose', [part('side_by_side')], [part('turned')], SWAPPED),
    node('Reshape', [part('turned'), CONSTANTS.perRow], [result]),
  ]);
}

/** Scales one query instead of all keys. Returns the query's name. */
function scaleQuery(branch: OnnxGraph, { turn, scale, multiply }: ScoreProduct): string {
  const [query = ''] = multiply.inputs;
  if (scale === undefined) return query;
  const [turned = ''] = turn.outputs;
  const scaled = `${turned}/heimdex_query`;
  replaceNode(branch, scale.node, []);
  replaceNode(branch, multiply, [node('Mul', [query, scale.factor], [scaled]), multiply]);
  multiply.inputs = [scaled, turned];
  return scaled;
}

/** Readers of the length of the cache, with or without the new token, get its token count instead of its capacity. */
function countFilled(branch: OnnxGraph): void {
  const joins = new Map(
    branch.nodes
      .filter(({ opType, inputs }) => opType === 'Concat' && isDecoderCache(inputs[0]))
      .map((one) => [one.outputs[0], one]),
  );
  for (const one of branch.nodes.filter(({ opType }) => opType === 'Shape')) {
    const join = joins.get(one.inputs[0]);
    const cache = join?.inputs[0] ?? one.inputs[0];
    if (!isDecoderCache(cache)) continue;
    const [shape = ''] = one.outputs;
    const part = (name: string) => `${shape}/heimdex_${name}`;
    one.inputs = [cache ?? ''];
    rename(one, part('room'));
    replaceNode(branch, one, [
      one,
      node('Slice', [part('room'), CONSTANTS.zero, CONSTANTS.two], [part('before')]),
      node('Slice', [part('room'), CONSTANTS.three, CONSTANTS.end], [part('behind')]),
      ...(join === undefined ? [] : [node('Add', [PAST_LENGTH, CONSTANTS.one], [part('filled')])]),
      node('Concat', [part('before'), join === undefined ? PAST_LENGTH : part('filled'), part('behind')], [shape], {
        axis: 0,
      }),
    ]);
  }
  // A reader of the cache with the token appended would read unfilled capacity; `attentionsOf` has checked that there
  // is none.
  branch.nodes = branch.nodes.filter((one) => joins.get(one.outputs[0]) !== one);
}

function isDecoderCache(name = ''): boolean {
  return /^past_key_values\.\d+\.decoder\./.test(name);
}

function addInputs(graph: OnnxGraph, heads: number, size: number): void {
  graph.inputs.push(
    { name: PAST_LENGTH, elementType: 'int64', dims: [1] },
    { name: STEP_MASK, elementType: 'float32', dims: [1, 1, 1, 'heimdex_room_and_one'] },
  );
  for (const value of [...graph.inputs, ...graph.outputs]) {
    if (/\.decoder\.(key|value)$/.test(value.name)) value.dims = [null, heads, null, size];
    if (/^cross_attentions\./.test(value.name)) value.dims = [null, null, null, null];
  }
  const integers = (name: string, ...values: readonly number[]) =>
    tensor(name, [values.length], BigInt64Array.from(values.map(BigInt)));
  graph.initializers.push(
    integers(CONSTANTS.zero, 0),
    integers(CONSTANTS.one, 1),
    integers(CONSTANTS.two, 2),
    integers(CONSTANTS.three, 3),
    integers(CONSTANTS.last, -1),
    integers(CONSTANTS.end, Number.MAX_SAFE_INTEGER),
    integers(CONSTANTS.perAudio, -1, heads, size),
    integers(CONSTANTS.perRow, -1, heads, 1, size),
  );
  graph.shapes = [];
}

/** Frees the name of its output. Nodes are named after their outputs. */
function rename(one: OnnxNode, output: string): void {
  one.name = output;
  one.outputs = [output];
}

function permutation({ attributes }: OnnxNode): readonly number[] {
  return attributes.find(({ name }) => name === 'perm')?.ints.map(Number) ?? [3, 2, 1, 0];
}

function replaceNode(branch: OnnxGraph, old: OnnxNode, news: readonly OnnxNode[]): void {
  branch.nodes.splice(branch.nodes.indexOf(old), 1, ...news);
}
