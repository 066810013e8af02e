/**
 * Writes OpenAI's own Whisper base as a checkpoint in hub layout, from the parts that Python packages carry: real weights, whose
 * speech ends where it should. Usage: node bench/default-stack/base.js DIR CHECKPOINTS [SHARED]   (HEIMDEX_TEST_CHECKPOINTS; 290 MB)
 */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkpointOf, partsIn, smallFilesIn } from '../support/whisper-base.js';

const [dir, checkpoints, shared = '../shared'] = process.argv.slice(2);
if (checkpoints === undefined) throw new Error('Usage: node bench/default-stack/base.js DIR CHECKPOINTS [SHARED]');
const place = join(dir, 'openai/whisper-base');
mkdirSync(place, { recursive: true });
for (const { path, file } of smallFilesIn(join(shared, 'models'))) copyFileSync(file, join(place, path));
writeFileSync(join(place, 'model.safetensors'), checkpointOf(partsIn(checkpoints)));
