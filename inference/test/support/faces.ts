import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseModel, writeModel } from '../../src/onnx/index.js';
import { inRepository } from './paths.js';

/**
 * Creates a directory with face-pocket as a third-party `faces.onnx`: without its producer name the graph is detected as a YuNet,
 * and gets images in their original size. The caller removes the directory.
 */
export async function namelessFaces(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'heimdex-faces-'));
  const pocket = await readFile(inRepository('demo/models/heimdex/face-pocket/face_detection_pocket.onnx'));
  await writeFile(join(dir, 'faces.onnx'), writeModel({ ...parseModel(pocket), producer: '' }));
  return dir;
}
