// Shared by the programs of this directory: the GPU's memory in use, and images to send.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { inRepository } from '../support/measure.js';

/** Memory of the GPU in use, MiB; 0 without nvidia-smi. */
export function gpuMib() {
  try {
    const text = execFileSync('nvidia-smi', ['--query-gpu=memory.used', '--format=csv,noheader,nounits'], {
      encoding: 'utf8',
    });
    return Number(text.trim());
  } catch {
    return 0;
  }
}

export function sampleImages() {
  return Object.keys(JSON.parse(readFileSync(inRepository('demo/samples/images/names.json'), 'utf8')))
    .map((name) => inRepository(`demo/samples/images/${name}`))
    .filter((path) => existsSync(path))
    .map((path) => readFileSync(path));
}
