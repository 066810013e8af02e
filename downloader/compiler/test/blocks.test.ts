import { expect } from 'chai';
import { Tensor } from 'onnxruntime-node';
import { runLayers, UnwrittenGraph } from '../src/check/layerwise.js';
import { randomNumbers } from '../src/check/random-numbers.js';
import type { Form } from '../src/graph/forms.js';
import { Products } from '../src/graph/products.js';
import { temporaryDir } from './support/dir.js';

const OUTPUTS = 24;

function numbers(count: number, seed: number): Float32Array {
  const random = randomNumbers(seed);
  return Float32Array.from({ length: count }, () => random() + random() + random() - 1.5);
}

describe('a product in blocks', () => {
  const dir = temporaryDir();

  /** Relative error of two rows times a random matrix. */
  async function errorOf(form: Form, inputs: number): Promise<number> {
    const graph = new UnwrittenGraph();
    const matrix = numbers(OUTPUTS * inputs, 1);
    graph.input('x', 'float32', [2, inputs]);
    const products = new Products(graph, false);
    const y = products.multiply('x', 'one', { values: () => matrix, outputs: OUTPUTS, inputs }, form);
    graph.output('y', y, [2, OUTPUTS]);
    const x = numbers(2 * inputs, 2);
    const layered = graph.layered(dir.fresh());
    const answers = await runLayers(layered, { x: new Tensor('float32', x, [2, inputs]) }, () => {});
    const got = answers.y?.data as Float32Array;
    let [wrong, all] = [0, 0];
    for (let row = 0; row < 2; row++) {
      for (let output = 0; output < OUTPUTS; output++) {
        let sum = 0;
        for (let i = 0; i < inputs; i++) {
          sum += (x[row * inputs + i] as number) * (matrix[output * inputs + i] as number);
        }
        wrong += ((got[row * OUTPUTS + output] as number) - sum) ** 2;
        all += sum ** 2;
      }
    }
    return Math.sqrt(wrong / all);
  }

  it('is within 2 % of float32 for any number of inputs', async () => {
    for (const inputs of [80, 96, 320, 384, 512, 1280]) {
      expect(await errorOf('nb8', inputs), String(inputs)).to.be.below(0.02);
    }
  });
});
