/** Assembles the WebAssembly of resizing, kernels.wat, into kernels-wasm.ts. Writes the file; `--check` compares instead. */
import { readFileSync, writeFileSync } from 'node:fs';
import wabt from 'wabt';

const dir = new URL('../inference/src/media/images/', import.meta.url);
const target = new URL('kernels-wasm.ts', dir);

const { parseWat } = await wabt();
const source = parseWat('kernels.wat', readFileSync(new URL('kernels.wat', dir), 'utf8'), { simd: true });
source.validate();
const base64 = Buffer.from(source.toBinary({}).buffer).toString('base64');
source.destroy();
const content = `/** The module of kernels.wat in base64, assembled by \`npm run generate\`. */
export const KERNELS_WASM =
  '${base64}';
`;

if (!process.argv.includes('--check')) {
  writeFileSync(target, content);
} else if (readFileSync(target, 'utf8') !== content) {
  console.error('Out of date with inference/src/media/images/kernels.wat: kernels-wasm.ts. Run: npm run generate');
  process.exitCode = 1;
}
