import { newModel, node, type OnnxGraph, type OnnxModel, type OnnxNode, tensor } from '../../src/onnx/index.js';
import { branchOf } from './graphs.js';

/** One layer in the layout of transformers.js' merged decoders: decomposed attention, a branch with a cache and one without. */
export const TINY = { layerCount: 1, headCount: 2, headSize: 4, vocabulary: 12, positions: 200 } as const;
const WIDTH = TINY.headCount * TINY.headSize;
/** The type of a graph attribute in onnx.proto. */
const ATTRIBUTE_IS_GRAPH = Uint8Array.of(0xa0, 0x01, 0x05);

/**
 * Forms of exported attention: `plain` scales the query; `shared` multiplies the query and all keys by the square root of the
 * scale, and reads the length of the concatenated cache.
 */
export type Writing = 'plain' | 'shared';

export function tinyDecoder(writing: Writing = 'plain'): OnnxModel {
  const choice = node('If', ['use_cache_branch'], OUTPUTS);
  choice.attributes.push(
    branchOf('then_branch', branch('with', true, writing), [ATTRIBUTE_IS_GRAPH]),
    branchOf('else_branch', branch('without', false, writing), [ATTRIBUTE_IS_GRAPH]),
  );
  const cache = ['batch', TINY.headCount, 'past', TINY.headSize];
  return newModel({
    name: 'merged',
    nodes: [choice],
    initializers: [
      weights('words', [TINY.vocabulary, WIDTH], 1),
      weights('positions', [TINY.positions, WIDTH], 2),
      ...['self_q', 'self_k', 'self_v', 'cross_q', 'cross_k', 'cross_v'].map((name, index) =>
        weights(name, [WIDTH, WIDTH], 3 + index),
      ),
      weights('last', [WIDTH, TINY.vocabulary], 9),
      tensor('none', [0, TINY.headCount, 1, TINY.headSize], new Float32Array(0)),
      tensor('split', [4], BigInt64Array.of(0n, 0n, BigInt(TINY.headCount), BigInt(TINY.headSize))),
      tensor('whole', [3], BigInt64Array.of(0n, 0n, BigInt(WIDTH))),
      tensor('zero', [], BigInt64Array.of(0n)),
      tensor('one', [], BigInt64Array.of(1n)),
      tensor('two', [], BigInt64Array.of(2n)),
      tensor('scale', [], Float32Array.of(1 / Math.sqrt(TINY.headSize))),
      tensor('hidden', [], Float32Array.of(-1e9)),
      tensor('seen', [], Float32Array.of(0)),
    ],
    inputs: [
      { name: 'input_ids', elementType: 'int64', dims: ['batch', 'length'] },
      { name: 'encoder_hidden_states', elementType: 'float32', dims: ['batch', 'audio', WIDTH] },
      { name: 'use_cache_branch', elementType: 'bool', dims: [1] },
      ...CACHE.map((name) => ({ name: `past_key_values.${name}`, elementType: 'float32' as const, dims: cache })),
    ],
    outputs: OUTPUTS.map((name) => ({ name, elementType: 'float32', dims: undefined })),
  });
}

const CACHE = ['0.decoder.key', '0.decoder.value', '0.encoder.key', '0.encoder.value'];
const OUTPUTS = ['logits', ...CACHE.map((name) => `present.${name}`)];

function branch(prefix: string, goesOn: boolean, writing: Writing): OnnxGraph {
  const name = (what: string) => `${prefix}/${what}`;
  const heads = (from: string, weight: string, to: string) => [
    node('MatMul', [from, weight], [`${to}/flat`]),
    node('Reshape', [`${to}/flat`, 'split'], [`${to}/split`]),
    node('Transpose', [`${to}/split`], [to], { perm: [0, 2, 1, 3] }),
  ];
  const together = (part: string, from: string, before: string, to: string) => [
    node('Transpose', [from], [name(`${part}_turned`)], { perm: [0, 2, 1, 3] }),
    node('Reshape', [name(`${part}_turned`), 'whole'], [name(`${part}_joined`)]),
    node('Add', [before, name(`${part}_joined`)], [to]),
  ];
  const scored = (part: string, query: string, keys: string, to: string) => {
    const turned = name(`${part}_keys_turned`);
    const scaled = name(`${part}_query_scaled`);
    const half = name(`${part}_keys_scaled`);
    return [
      node('Transpose', [keys], [turned], { perm: [0, 1, 3, 2] }),
      ...(writing === 'shared' ? [node('Mul', [turned, name('root')], [half])] : []),
      node('Mul', [query, writing === 'shared' ? name('root') : 'scale'], [scaled]),
      node('MatMul', [scaled, writing === 'shared' ? half : turned], [to]),
    ];
  };
  const join = (what: 'key' | 'value') =>
    goesOn
      ? [node('Concat', [`past_key_values.0.decoder.${what}`, name(`new_${what}`)], [name(what)], { axis: 2 })]
      : [node('Identity', [name(`new_${what}`)], [name(what)])];
  const nodes: OnnxNode[] = [
    ...(goesOn
      ? [
          node('Shape', ['past_key_values.0.decoder.key'], [name('past_shape')]),
          node('Gather', [name('past_shape'), 'two'], [name('past')], { axis: 0 }),
        ]
      : [node('Identity', ['zero'], [name('past')])]),
    node('Sqrt', ['scale'], [name('root')]),
    node('Shape', ['input_ids'], [name('shape')]),
    node('Gather', [name('shape'), 'one'], [name('length')], { axis: 0 }),
    node('Add', [name('past'), name('length')], [name('end')]),
    node('Range', [name('past'), name('end'), 'one'], [name('own')]),
    node('Gather', ['words', 'input_ids'], [name('words')], { axis: 0 }),
    node('Gather', ['positions', name('own')], [name('positions')], { axis: 0 }),
    node('Add', [name('words'), name('positions')], [name('x')]),
    ...heads(name('x'), 'self_k', name('new_key')),
    ...join('key'),
    ...(writing === 'plain'
      ? [node('Identity', [name('end')], [name('total')])]
      : [
          node('Shape', [name('key')], [name('key_shape')]),
          node('Gather', [name('key_shape'), 'two'], [name('total')], { axis: 0 }),
        ]),
    node('Range', ['zero', name('total'), 'one'], [name('all')]),
    node('Reshape', [name('own'), name('upright')], [name('rows')]),
    node('Greater', [name('all'), name('rows')], [name('later')]),
    node('Where', [name('later'), 'hidden', 'seen'], [name('mask')]),
    ...heads(name('x'), 'self_q', name('q')),
    ...scored('self', name('q'), name('key'), name('scores')),
    node('Add', [name('scores'), name('mask')], [name('masked')]),
    node('Softmax', [name('masked')], [name('weights')], { axis: -1 }),
    ...heads(name('x'), 'self_v', name('new_value')),
    ...join('value'),
    node('MatMul', [name('weights'), name('value')], [name('self')]),
    ...together('self', name('self'), name('x'), name('y')),
    ...heads(name('y'), 'cross_q', name('cross_query')),
    ...(goesOn
      ? []
      : [
          ...heads('encoder_hidden_states', 'cross_k', name('cross_source_key')),
          ...heads('encoder_hidden_states', 'cross_v', name('cross_source_value')),
        ]),
    ...scored(
      'cross',
      name('cross_query'),
      goesOn ? 'past_key_values.0.encoder.key' : name('cross_source_key'),
      name('cross_scores'),
    ),
    node('Softmax', [name('cross_scores')], [name('cross_weights')], { axis: -1 }),
    node(
      'MatMul',
      [name('cross_weights'), goesOn ? 'past_key_values.0.encoder.value' : name('cross_source_value')],
      [name('cross')],
    ),
    ...together('cross', name('cross'), name('y'), name('z')),
    node('MatMul', [name('z'), 'last'], [name('logits')]),
    ...(goesOn
      ? [
          node('Identity', ['none'], [name('cross_source_key')]),
          node('Identity', ['none'], [name('cross_source_value')]),
        ]
      : []),
  ];
  return newModel({
    name: prefix,
    nodes,
    initializers: [tensor(name('upright'), [2], BigInt64Array.of(-1n, 1n))],
    inputs: [],
    outputs: ['logits', 'key', 'value', 'cross_source_key', 'cross_source_value'].map((output) => ({
      name: name(output),
      elementType: 'float32',
      dims: undefined,
    })),
  }).graph;
}

function weights(name: string, dims: readonly number[], seed: number) {
  const length = dims.reduce((product, size) => product * size, 1);
  return tensor(
    name,
    dims,
    Float32Array.from({ length }, (_, i) => Math.sin(seed * 7.3 + i * 1.7)),
  );
}
