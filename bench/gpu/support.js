// Shared by the programs of this directory.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { DRAWINGS, imagesIn } from '../support/samples.js';

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
  return imagesIn(DRAWINGS).map((path) => readFileSync(path));
}
