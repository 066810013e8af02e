import { expect } from 'chai';
import { Tensor } from 'onnxruntime-node';
import { runLayers, UnwrittenGraph } from '../src/check/layerwise.js';
import { randomNumbers } from '../src/check/random-numbers.js';
import type { Form } from '../src/graph/forms.js';
import { Products } from '../src/graph/products.js';
import { dividedBy, inputDivisors, scaledWeights } from '../src/graph/smoothing.js';
import { temporaryDir } from './support/dir.js';

const INPUTS = 128;
const OUTPUTS = 48;
const ROWS = 3;
/** Channels with many times the values of the others, as a layer norm's outputs have them. */
const LOUD = [5, 77];

function numbers(count: number, seed: number): Float32Array {
  const random = randomNumbers(seed);
  return Float32Array.from({ length: count }, () => random() + random() + random() - 1.5);
}

function loudRows(): Float32Array {
  return numbers(ROWS * INPUTS, 2).map((value, index) => (LOUD.includes(index % INPUTS) ? 60 * value : value));
}

function peaksOf(rows: Float32Array): Float32Array {
  const peaks = new Float32Array(INPUTS);
  rows.forEach((value, index) => {
    peaks[index % INPUTS] = Math.max(peaks[index % INPUTS] as number, Math.abs(value));
  });
  return peaks;
}

describe('inputs of a product that are evened out', () => {
  const dir = temporaryDir();
  const matrix = numbers(OUTPUTS * INPUTS, 1);
  const x = loudRows();
  const divisors = inputDivisors(peaksOf(x), [matrix]);
  const evened = x.map((value, index) => value / (divisors[index % INPUTS] as number));

  async function product(rows: Float32Array, weights: Float32Array, form: Form): Promise<Float32Array> {
    const graph = new UnwrittenGraph();
    const count = rows.length / INPUTS;
    graph.input('x', 'float32', [count, INPUTS]);
    const y = new Products(graph, true).multiply(
      'x',
      'one',
      { values: () => weights, outputs: OUTPUTS, inputs: INPUTS },
      form,
    );
    graph.output('y', y, [count, OUTPUTS]);
    const feeds = { x: new Tensor('float32', rows, [count, INPUTS]) };
    return (await runLayers(graph.layered(dir.fresh()), feeds, () => {})).y?.data as Float32Array;
  }

  const errorOf = async (got: Promise<Float32Array>) => {
    const [values, expected] = [await got, await product(x, matrix, 'float32')];
    const off = values.map((value, index) => value - (expected[index] as number));
    return Math.hypot(...off) / Math.hypot(...expected);
  };

  it('leave the product as it is', async () => {
    expect(await errorOf(product(evened, scaledWeights(matrix, { inputs: divisors }), 'float32'))).to.be.below(1e-6);
  });

  it('make a quarter of the error of 8 bits where a few channels have most of the values', async () => {
    const row = await errorOf(product(x, matrix, 'row'));
    const smooth = await errorOf(product(evened, scaledWeights(matrix, { inputs: divisors }), 'smooth'));
    expect(smooth).to.be.below(row / 4);
  });

  it('of 16 bits have a row for what the first 8 bits leave', async () => {
    const weights = scaledWeights(matrix, { inputs: divisors });
    expect(await errorOf(product(evened, weights, 'smooth2'))).to.be.below(
      (await errorOf(product(evened, weights, 'smooth'))) * 0.85,
    );
  });

  it('have the same products in any batch', async () => {
    for (const form of ['smooth', 'smooth2'] as const) {
      const together = await product(evened, matrix, form);
      const alone = await product(evened.slice(INPUTS, 2 * INPUTS), matrix, form);
      expect([...alone], form).to.deep.equal([...together.slice(OUTPUTS, 2 * OUTPUTS)]);
    }
  });

  it('stay as they are where they have no values or no weights', () => {
    const peaks = new Float32Array(INPUTS).fill(1);
    peaks[3] = 0;
    const idle = matrix.map((weight, index) => (index % INPUTS === 4 ? 0 : weight));
    const found = inputDivisors(peaks, [idle]);
    expect([found[3], found[4]]).to.deep.equal([1, 1]);
    expect(found.every((divisor) => divisor > 0 && Number.isFinite(divisor))).to.equal(true);
  });

  it('may be the outputs of the product before, whose weights and bias are divided', () => {
    const outputs = new Float32Array(OUTPUTS).fill(4);
    const scaled = scaledWeights(matrix, { outputs });
    expect([...scaled]).to.deep.equal([...matrix].map((weight) => weight / 4));
    expect([...dividedBy(Float32Array.of(8, 2), Float32Array.of(4, 1))]).to.deep.equal([2, 2]);
    expect(scaledWeights(matrix, {})).to.equal(matrix);
  });
});
