#!/usr/bin/env node
import { existsSync } from 'node:fs';

const dist = new URL('../dist/src/', import.meta.url);
if (Number.parseInt(process.versions.node, 10) < 20)
  fail(`needs Node.js 20 or later; this is ${process.versions.node}`, 2);
else if (!existsSync(dist)) fail('is not built yet. In the repository, run: npm run build', 1);
else await start();

function fail(message, exitStatus) {
  console.error(`heimdex-inference ${message}`);
  process.exitCode = exitStatus;
}

async function start() {
  const { EXIT_CODES, TOO_FEW_FILES } = await import(new URL('exit-codes.js', dist));
  const { restartWithMallocSettings } = await import(new URL('process/malloc-settings.js', dist));
  restartWithMallocSettings(process.env);
  try {
    await import(new URL('main.js', dist));
  } catch (error) {
    if (error.code !== 'EMFILE') throw error;
    console.error(`heimdex-inference: ${TOO_FEW_FILES}`);
    process.exitCode = EXIT_CODES.configuration;
  }
}
