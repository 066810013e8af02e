// Measures decoding of 12 million pixels by format: `node bench/vision/formats.js --python PATH`. Results: results.md.
import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { decodeImage } from '../../inference/dist/src/media/images/index.js';
import { temporaryDir } from '../support/dir.js';
import { measure, readOptions, runPython } from '../support/measure.js';

const options = readOptions({ file: '' });

if (options.file === '') {
  const job = { dir: temporaryDir(), photograph: `${options.shared}/cases/images/closeup_50pct.jpg` };
  const files = runPython(options.python, new URL('./formats.py', import.meta.url), job) ?? {};
  console.log('| format | file, MB | CPU s | peak process memory, MiB |\n|---|---|---|---|');
  // Each in a separate process, to measure its memory.
  for (const path of Object.values(files)) {
    const own = [fileURLToPath(import.meta.url), '--file', path, '--rounds', String(options.rounds)];
    spawnSync(process.execPath, own, { stdio: 'inherit' });
  }
} else {
  const content = readFileSync(options.file);
  const target = { width: 224, height: 224 };
  const { cpuMs } = await measure(1, options.rounds, () => decodeImage(content, { maxPixels: 100_000_000, target }));
  const memory = Math.round(process.resourceUsage().maxRSS / 1024);
  const size = (statSync(options.file).size / 1e6).toFixed(1);
  console.log(`| ${options.file.split('.').at(-1)} | ${size} | ${(cpuMs / 1000).toFixed(2)} | ${memory} |`);
}
