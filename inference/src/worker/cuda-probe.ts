/**
 * The program that tries CUDA: it runs a sum on the GPU and nothing else, in a process of its own, for what is wrong with
 * a driver or its libraries may crash. Its output is one line of JSON: null, or why it does not work.
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

async function reasonAgainstCuda(): Promise<string | null> {
  try {
    const session = await InferenceSession.create(writeModel(sum), {
      executionProviders: ['cuda'],
      // Else what the GPU cannot run goes to the CPU without a word.
      extra: { session: { disable_cpu_ep_fallback: '1' } },
    });
    const { y } = await session.run({ x: new Tensor('float32', Float32Array.of(1, 2), [2]) });
    const numbers = [...(y?.data ?? [])];
    return numbers.join() === '2,4' ? null : `the GPU computes 1 + 1 and 2 + 2 as ${numbers.join(' and ')}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

process.stdout.write(`${JSON.stringify(await reasonAgainstCuda())}\n`);
