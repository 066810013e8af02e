import { isSmooth } from '../graph/forms.js';
import type { Layers } from '../graph/layers.js';
import { BLOCK_SIZE, quantizeBlocks, quantizeColumns } from '../graph/quantize.js';
import { scaledWeights } from '../graph/smoothing.js';
import { EPSILON } from './whisper-parts.js';

/** Rows of the table that are read at once. */
const SLICE_ROWS = 1024;
const KEY = 'vocabulary';

interface Slice {
  readonly first: number;
  readonly rows: number;
  /** [rows, width]. */
  readonly values: Float32Array;
}

/**
 * The decoder's last norm and the scores over the vocabulary, [rows, vocabulary], from the token table or from a separate table if a
 * fine-tune has untied the two. The table is read slice by slice.
 */
export function vocabularyScores(layers: Layers, hidden: string, vocabulary: number, width: number): string {
  const { graph, weights, recipe } = layers;
  const name = weights.has('proj_out.weight') ? 'proj_out.weight' : 'decoder.embed_tokens.weight';
  const slices = function* (from = 0, end = vocabulary): Generator<Slice> {
    for (let first = from; first < end; first += SLICE_ROWS) {
      const rows = Math.min(SLICE_ROWS, end - first);
      yield { first, rows, values: weights.takeRows(name, [vocabulary, width], first, rows) };
    }
  };
  const divisors = layers.smoothing(KEY, () => valuesOf(slices()), KEY);
  const x = layers.norm(hidden, 'decoder.layer_norm', width, EPSILON, divisors);
  layers.measure(x, KEY, width);
  if (recipe.vocabulary === 'nb8') return inBlocks(layers, x, slices, { vocabulary, width });
  if (isSmooth(recipe.vocabulary)) return inTwoRows(layers, x, slices, { vocabulary, width, divisors });
  const products: string[] = [];
  for (let row = 0; row < vocabulary; row += graph.productRows) {
    const end = Math.min(vocabulary, row + graph.productRows);
    const key = row === 0 ? 'vocabulary.weight' : `vocabulary.weight.${row}`;
    const table = graph.streamed(key, 'float32', [end - row, width], () => valuesOf(slices(row, end)));
    products.push(graph.op('Gemm', [x, table], { transB: 1 }));
    if (end < vocabulary) graph.cut();
  }
  return products.length === 1 ? (products[0] as string) : graph.op('Concat', products, { axis: 1 });
}

function* valuesOf(slices: Iterable<Slice>): Generator<Float32Array> {
  for (const { values } of slices) yield values;
}

/** Activations in 16 bits, weights in 8 with a scale per token of the vocabulary. */
function inTwoRows(
  layers: Layers,
  x: string,
  slices: () => Iterable<Slice>,
  table: { readonly vocabulary: number; readonly width: number; readonly divisors: Float32Array | undefined },
): string {
  const { graph, products } = layers;
  const { vocabulary, width, divisors } = table;
  const scales = new Float32Array(vocabulary);
  const values = () => {
    const all = new Int8Array(width * vocabulary);
    for (const slice of slices()) {
      const quantized = quantizeColumns(
        scaledWeights(slice.values, { inputs: divisors }),
        slice.rows,
        width,
        products.overflowSafe,
      );
      scales.set(quantized.scales, slice.first);
      for (let input = 0; input < width; input++) {
        const row = quantized.values.subarray(input * slice.rows, (input + 1) * slice.rows);
        all.set(row, input * vocabulary + slice.first);
      }
    }
    return all;
  };
  // The scales are those of the values, written before them.
  const weights = graph.constant('vocabulary.weight', 'int8', [width, vocabulary], values);
  const scale = graph.constant('vocabulary.scale', 'float32', [vocabulary], () => scales);
  return products.twoRows(x, weights, scale);
}

/** A scale per block of inputs. */
function inBlocks(
  layers: Layers,
  x: string,
  slices: () => Iterable<Slice>,
  table: { readonly vocabulary: number; readonly width: number },
): string {
  const { graph, products } = layers;
  const { vocabulary, width } = table;
  const blocks = Math.ceil(width / BLOCK_SIZE);
  const scales = new Float32Array(vocabulary * blocks);
  const values = function* (): Generator<Uint8Array> {
    for (const { first, rows, values } of slices()) {
      const quantized = quantizeBlocks(values, rows, width);
      scales.set(quantized.scales, first * blocks);
      yield quantized.values;
    }
  };
  const weights = graph.streamed('vocabulary.weight', 'uint8', [vocabulary, blocks, BLOCK_SIZE], values);
  const scale = graph.constant('vocabulary.scale', 'float32', [vocabulary, blocks], () => scales);
  return products.blocks(x, { weights, scales: scale, outputs: vocabulary, inputs: width });
}
