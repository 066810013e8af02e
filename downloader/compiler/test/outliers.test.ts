import { expect } from 'chai';
import { outlierCount, splitOutliers } from '../src/graph/outliers.js';

const INPUTS = 32;
const OUTPUTS = 2;

/** Weights of 1, but for one input with a large weight. */
function matrixWithLargeInput(large: number): Float32Array {
  const matrix = new Float32Array(OUTPUTS * INPUTS).fill(1);
  matrix[large] = 9;
  return matrix;
}

describe('outlier inputs of a product', () => {
  it('are those with the largest values and those with the largest weights', () => {
    const peaks = new Float32Array(INPUTS).fill(1);
    peaks[20] = 50;
    peaks[21] = 40;
    const { indices } = splitOutliers(matrixWithLargeInput(7), OUTPUTS, INPUTS, peaks);
    expect(indices).to.have.length(outlierCount(INPUTS));
    expect([...indices]).to.include.members([7n, 20n, 21n]);
  });

  it('are chosen by their weights alone where no values are known', () => {
    const { indices } = splitOutliers(matrixWithLargeInput(7), OUTPUTS, INPUTS, undefined);
    expect(indices).to.have.length(outlierCount(INPUTS));
    expect([...indices]).to.include(7n);
  });

  it('leave the matrix in two parts that add up to it', () => {
    const matrix = Float32Array.from({ length: OUTPUTS * INPUTS }, (_, index) => Math.sin(index));
    const { indices, mask, outlierWeights, otherWeights } = splitOutliers(matrix, OUTPUTS, INPUTS, undefined);
    const sum = otherWeights.slice();
    for (const [index, input] of indices.entries()) {
      expect(mask[Number(input)]).to.equal(0);
      for (let output = 0; output < OUTPUTS; output++) {
        const at = output * INPUTS + Number(input);
        expect(otherWeights[at]).to.equal(0);
        sum[at] = outlierWeights[index * OUTPUTS + output] as number;
      }
    }
    expect([...sum]).to.deep.equal([...matrix]);
    expect(mask.filter((value) => value === 0)).to.have.length(indices.length);
  });
});
