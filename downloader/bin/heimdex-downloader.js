#!/usr/bin/env node
import { existsSync } from 'node:fs';

const main = new URL('../dist/src/main.js', import.meta.url);
if (existsSync(main)) {
  await import(main.href);
} else {
  console.error('heimdex-downloader is not built yet. In the repository, run: npm run build');
  process.exitCode = 1;
}
