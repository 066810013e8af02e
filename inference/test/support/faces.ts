import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseModel, writeModel } from '../../src/onnx/index.js';
import { inRepository } from './places.js';

/**
 * A directory with face-pocket as somebody else's `faces.onnx`: its graph no longer says who made it, so it is taken for what it
 * looks like, a YuNet, and is given images in their own size. The caller removes the directory.
 */
export async function namelessFaces(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'heimdex-faces-'));
  const pocket = await readFile(inRepository('demo/models/heimdex/face-pocket/face_detection_pocket.onnx'));
  await writeFile(join(dir, 'faces.onnx'), writeModel({ ...parseModel(pocket), producer: '' }));
  return dir;
}
