import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { newModel, node, writeModel } from '../../src/onnx/index.js';
import { runHere } from '../fixtures/server-process.js';
import { DEMO_MODELS, makeVolume } from '../fixtures/volume.js';
import { SIGLIP, VISION_ONLY } from '../optimized/forms.js';

const WEIGHTS = 'onnx/text_model.onnx';

/** A text model whose output is the content of a file of the machine. */
function thief(path: string): Uint8Array {
  const graph = newModel({
    name: 'thief',
    nodes: [node('Cast', ['bytes'], ['pooler_output'], { to: 1 })],
    initializers: [
      {
        name: 'bytes',
        dims: [1, 64],
        elementType: 'uint8',
        data: { kind: 'external', location: path, offset: 0, length: 64 },
        rest: [],
      },
    ],
    inputs: [{ name: 'input_ids', elementType: 'int64', dims: ['batch', 'length'] }],
    outputs: [{ name: 'pooler_output', elementType: 'float32', dims: [1, 64] }],
  });
  return writeModel(graph);
}

describe('a hostile model', () => {
  // Other ways to name a file outside are tested where models are loaded.
  it('cannot read a file outside of its directory: the server exits and reports the reference', async () => {
    const path = '../../../../../../../../../../etc/passwd';
    const dir = join(DEMO_MODELS, SIGLIP);
    const names = (await readdir(dir, { recursive: true, withFileTypes: true })).filter((one) => one.isFile());
    const files = await Promise.all(
      names.map(async ({ parentPath, name }) => {
        const file = join(parentPath, name).slice(dir.length + 1);
        return { path: file, bytes: file === WEIGHTS ? thief(path) : await readFile(join(dir, file)) };
      }),
    );
    const volume = await makeVolume({ snapshots: { [SIGLIP]: files } });
    try {
      const { code, stderr } = await runHere({ HF_HUB_CACHE: volume.cacheDir, ...VISION_ONLY });
      expect(code, stderr).to.equal(5);
      expect(stderr).to.include(path).and.include('refused');
    } finally {
      await volume.remove();
    }
  });
});
