/**
 * The CUDA probe program: runs a convolution and a product on the GPU. It is a separate process because a faulty driver or library
 * may crash. Writes one line of JSON: null, or why CUDA does not work.
 */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { newModel, node, tensor, writeModel } from '../onnx/index.js';

const FLOAT32 = 1;
const FLOAT16 = 10;
const value = (name: string, dims: readonly number[]) => ({ name, elementType: 'float32' as const, dims: [...dims] });
const products = newModel({
  name: 'products',
  nodes: [
    // cuDNN, which the runtime loads when the first convolution runs.
    node('Conv', ['x', 'kernel'], ['y']),
    // cuBLAS, in the half precision of fp16 models.
    node('Cast', ['h'], ['half'], { to: FLOAT16 }),
    node('MatMul', ['half', 'half'], ['square']),
    node('Cast', ['square'], ['z'], { to: FLOAT32 }),
  ],
  initializers: [tensor('kernel', [1, 1, 1, 1], Float32Array.of(2))],
  inputs: [value('x', [1, 1, 1, 2]), value('h', [2, 2])],
  outputs: [value('y', [1, 1, 1, 2]), value('z', [2, 2])],
});
const RIGHT = '2 4 1 0 0 9';

async function probeCuda(): Promise<string | null> {
  try {
    const session = await InferenceSession.create(writeModel(products), {
      executionProviders: ['cuda'],
      // Otherwise operators that the GPU cannot run silently fall back to the CPU.
      extra: { session: { disable_cpu_ep_fallback: '1' } },
    });
    const { y, z } = await session.run({
      x: new Tensor('float32', Float32Array.of(1, 2), [1, 1, 1, 2]),
      h: new Tensor('float32', Float32Array.of(1, 0, 0, 3), [2, 2]),
    });
    const numbers = [y, z].flatMap((result) => [...((result?.data ?? []) as Float32Array)]).join(' ');
    return numbers === RIGHT ? null : `wrong result from the GPU: ${numbers} instead of ${RIGHT}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

process.stdout.write(`${JSON.stringify(await probeCuda())}\n`);
