/** Assembles WebAssembly: each `NAME.wat` below into `NAME-wasm.ts` next to it. Writes the files; `--check` compares instead. */
import { readFileSync, writeFileSync } from 'node:fs';
import wabt from 'wabt';

const SOURCES = ['media/images/kernels.wat', 'models/decoding/scores.wat'];

const { parseWat } = await wabt();
for (const path of SOURCES) {
  const url = new URL(`../inference/src/${path}`, import.meta.url);
  const name = path.slice(path.lastIndexOf('/') + 1, -'.wat'.length);
  const target = new URL(`${name}-wasm.ts`, url);
  const source = parseWat(path, readFileSync(url, 'utf8'), { simd: true });
  source.validate();
  const base64 = Buffer.from(source.toBinary({}).buffer).toString('base64');
  source.destroy();
  const content = `/** The module of ${name}.wat in base64, assembled by \`npm run generate\`. */
export const ${name.toUpperCase()}_WASM =
  '${base64}';
`;
  if (!process.argv.includes('--check')) {
    writeFileSync(target, content);
  } else if (readFileSync(target, 'utf8') !== content) {
    console.error(`Out of date with inference/src/${path}: ${name}-wasm.ts. Run: npm run generate`);
    process.exitCode = 1;
  }
}
