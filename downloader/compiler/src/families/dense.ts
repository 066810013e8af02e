import type { Layers } from '../graph/layers.js';
import type { Config, ConfigReader } from './config.js';

/** A layer behind the pooling of a sentence embedder: sentence-transformers' `Dense`. */
export interface DenseModule {
  /** The file with its weights. */
  readonly checkpoint: string;
  /** Its config.json. */
  readonly config: Config;
  /** How token vectors become one, in this order: `cls`, `mean` or `max`. */
  readonly pooling: readonly string[];
}

/** Where sentence-transformers saves the pooling and the layer, for messages. */
export const POOLING_FILE = '1_Pooling/config.json';
const DENSE_FILE = '2_Dense/config.json';

/** Where ConfigReader has the module, and before its tensors' names. */
export const DENSE = 'dense';

/**
 * Pooling and the dense layer, in float32 at any precision: token vectors [batch, length, width] and mask [batch, length] to
 * [batch, outputs], not normalized.
 *
 * Source: Reimers and Gurevych, 2019; sentence-transformers, Pooling and Dense.
 */
export function pooledDense(layers: Layers, tokens: string, mask: string, width: number, module: ConfigReader): string {
  const { graph } = layers;
  const modes = module.words('pooling', POOLINGS);
  const weight = graph.op('Unsqueeze', [graph.cast(mask, 'float32'), graph.integers(2)]);
  const parts = modes.map((mode) => POOLERS[mode]({ graph, tokens, weight }));
  const [first = '', ...others] = parts;
  const pooled = others.length === 0 ? first : graph.op('Concat', parts, { axis: 1 });
  const config = module.part('config', DENSE_FILE);
  const inputs = width * modes.length;
  config.expect('in_features', inputs);
  config.expect('module_input_name', VECTOR);
  config.expect('module_output_name', VECTOR);
  config.expect('use_residual', false);
  const outputs = config.count('out_features');
  const activation = config.word('activation_function', ACTIVATIONS, ACTIVATIONS[0]);
  const name = `${DENSE}.linear`;
  const matrix = {
    values: () => layers.weights.take(`${name}.weight`, [outputs, inputs]),
    ...(config.config.bias !== false && { bias: () => layers.weights.take(`${name}.bias`, [outputs]) }),
    outputs,
    inputs,
  };
  // ONNX Runtime rounds the product of one row otherwise than that of several: a row more keeps a text's vector the same whatever its batch.
  const one = graph.constant(`${DENSE}.row`, 'float32', [1, inputs], () => new Float32Array(inputs));
  const rows = graph.op('Concat', [pooled, one], { axis: 0 });
  const products = layers.products.multiply(rows, name, matrix, 'float32');
  const product = graph.op('Slice', [products, graph.integers(0), graph.integers(-1), graph.integers(0)]);
  return activation.endsWith('.Identity') ? product : graph.op('Tanh', [product]);
}

/** What sentence-transformers calls the pooled vector. */
const VECTOR = 'sentence_embedding';
/** As sentence-transformers writes them, and their short names, which it reads too. */
const ACTIVATIONS = [
  'torch.nn.modules.activation.Tanh',
  'torch.nn.modules.linear.Identity',
  'torch.nn.Tanh',
  'torch.nn.Identity',
] as const;
const POOLINGS = ['cls', 'mean', 'max'] as const;

interface Pooled {
  readonly graph: Layers['graph'];
  readonly tokens: string;
  /** 1 for a token, 0 for padding, [batch, length, 1]. */
  readonly weight: string;
}

const LENGTH_AXIS = 1;

const POOLERS: Readonly<Record<(typeof POOLINGS)[number], (pooled: Pooled) => string>> = {
  cls: ({ graph, tokens }) => graph.op('Gather', [tokens, graph.index(0)], { axis: LENGTH_AXIS }),
  mean: ({ graph, tokens, weight }) => {
    // One token after the other: ReduceSum's order depends on the numbers of texts and of tokens.
    const sum = (values: string) =>
      graph.op('Gather', [graph.op('CumSum', [values, graph.index(LENGTH_AXIS)]), graph.index(-1)], {
        axis: LENGTH_AXIS,
      });
    return graph.op('Div', [sum(graph.op('Mul', [tokens, weight])), sum(weight)]);
  },
  max: ({ graph, tokens, weight }) => {
    const words = graph.op('Where', [graph.cast(weight, 'bool'), tokens, graph.scalar(-3e38)]);
    return graph.op('ReduceMax', [words, graph.integers(LENGTH_AXIS)], { keepdims: 0 });
  },
};
