import { InferenceSession, Tensor } from 'onnxruntime-node';
import { newModel, node, RUNTIME_DOMAIN, tensor, writeModel } from '../../onnx/index.js';
import type { LoadOptions, WeightsForm } from '../model.js';
import { sessionOptions } from './open-session.js';
import { withSessionEntries } from './optimized/recipe.js';

/** A product large enough to exercise every kernel of the runtime. */
const ROWS = 8;
const INPUTS = 64;
const OUTPUTS = 32;
/** Activation and weight of the largest product. */
const LARGEST_ACTIVATION = 255;
const LARGEST_WEIGHT = 127;

/**
 * Chooses the form of the weights for this CPU. Overflow-safe weights lose up to one bit of eight, which occasionally
 * changes a comma or a word, and need their own memory. Where the runtime's 8-bit product is exact (x86 with VNNI, ARM)
 * the original weights are better. This tests the runtime with the largest possible product instead of reading CPU
 * features, because only the runtime knows which kernel it uses.
 */
export async function weightsForm(options: Pick<LoadOptions, 'weights'>): Promise<WeightsForm> {
  if (options.weights !== undefined) return options.weights;
  return (await multipliesExactly()) ? 'plain' : 'overflow-safe';
}

/** Whether the runtime's fast 8-bit product is exact for the largest values, with one row and with several. */
export async function multipliesExactly(): Promise<boolean> {
  const model = newModel({
    name: 'largest',
    nodes: [node('MatMulIntegerToFloat', ['x', 'w', 'one', 'one'], ['y'], {}, RUNTIME_DOMAIN)],
    initializers: [
      tensor('w', [INPUTS, OUTPUTS], new Int8Array(INPUTS * OUTPUTS).fill(LARGEST_WEIGHT)),
      tensor('one', [], Float32Array.of(1)),
    ],
    inputs: [{ name: 'x', elementType: 'uint8', dims: ['rows', INPUTS] }],
    outputs: [{ name: 'y', elementType: 'float32', dims: ['rows', OUTPUTS] }],
  });
  model.opsets.set(RUNTIME_DOMAIN, 1n);
  const fast = withSessionEntries(sessionOptions({ device: 'cpu', threads: 1 }), { x64quantprecision: '0' });
  const session = await InferenceSession.create(writeModel(model), fast);
  try {
    for (const rows of [1, ROWS]) {
      const x = new Tensor('uint8', new Uint8Array(rows * INPUTS).fill(LARGEST_ACTIVATION), [rows, INPUTS]);
      const { y } = await session.run({ x });
      const sums = y?.data as Float32Array;
      if (sums.some((sum) => sum !== INPUTS * LARGEST_ACTIVATION * LARGEST_WEIGHT)) return false;
    }
    return true;
  } finally {
    await session.release();
  }
}
