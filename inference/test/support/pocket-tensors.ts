import { join } from 'node:path';
import type { NamedTensor } from '@heimdex/hub';
import { parseModelFile, withTensorsOf } from '../../src/onnx/index.js';

/** siglip-pocket's checkpoint, from its float32 graphs: the tensors as transformers names them. */
export function siglipTensors(dir: string): readonly NamedTensor[] {
  return ['vision', 'text'].flatMap((tower) => tensorsOf(join(dir, 'onnx', `${tower}_model.onnx`), `${tower}_model.`));
}

/** Constants keep their names; matrices of products, which the export has turned and named by numbers, have those of their nodes. */
function tensorsOf(path: string, prefix: string): readonly NamedTensor[] {
  const { nodes, initializers } = parseModelFile(path).graph;
  return withTensorsOf(path, (read) => {
    const values = (name: string): Omit<NamedTensor, 'name'> => {
      const constant = initializers.find((one) => one.name === name);
      const bytes = constant === undefined ? undefined : read(constant);
      if (constant === undefined || bytes === undefined) throw new Error(`${path} has no ${name}`);
      return { shape: constant.dims, values: new Float32Array(new Uint8Array(bytes).buffer) };
    };
    const named = initializers.filter(({ name }) => name.startsWith('tower.'));
    const products = nodes.filter(({ opType, inputs }) => opType === 'MatMul' && inputs[1]?.startsWith('onnx::'));
    return [
      ...named.map(({ name }) => ({ name: name.replace('tower.', prefix), ...values(name) })),
      ...products.map(({ name, inputs }) => {
        const layer = name.replace(/^\//, '').split('/').slice(0, -1).join('.').replace('tower.', prefix);
        return { name: `${layer}.weight`, ...turned(values(inputs[1] ?? '')) };
      }),
    ];
  });
}

function turned({ shape: [rows = 0, columns = 0], values }: Omit<NamedTensor, 'name'>): Omit<NamedTensor, 'name'> {
  const other = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) other[column * rows + row] = values[row * columns + column] ?? 0;
  }
  return { shape: [columns, rows], values: other };
}
