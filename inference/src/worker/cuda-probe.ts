/**
 * The CUDA probe program: runs a sum on the GPU. It is a separate process because a faulty driver or library may crash. Writes
 * one line of JSON: null, or why CUDA does not work.
 */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { newModel, node, writeModel } from '../onnx/index.js';

const value = (name: string) => ({ name, elementType: 'float32' as const, dims: [2] });
const sum = newModel({
  name: 'sum',
  nodes: [node('Add', ['x', 'x'], ['y'])],
  initializers: [],
  inputs: [value('x')],
  outputs: [value('y')],
});

async function probeCuda(): Promise<string | null> {
  try {
    const session = await InferenceSession.create(writeModel(sum), {
      executionProviders: ['cuda'],
      // Otherwise operators that the GPU cannot run silently fall back to the CPU.
      extra: { session: { disable_cpu_ep_fallback: '1' } },
    });
    const { y } = await session.run({ x: new Tensor('float32', Float32Array.of(1, 2), [2]) });
    const numbers = [...(y?.data ?? [])];
    return numbers.join() === '2,4' ? null : `wrong result from the GPU: 1 + 1 and 2 + 2 are ${numbers.join(' and ')}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

process.stdout.write(`${JSON.stringify(await probeCuda())}\n`);
