#!/usr/bin/env node
import { EXIT_CODES, TOO_FEW_FILES } from '../dist/src/exit-codes.js';
import { restartWithMallocSettings } from '../dist/src/process/malloc-settings.js';

restartWithMallocSettings(process.env);
try {
  await import('../dist/src/main.js');
} catch (error) {
  if (error.code !== 'EMFILE') throw error;
  console.error(`heimdex-inference: ${TOO_FEW_FILES}`);
  process.exitCode = EXIT_CODES.configuration;
}
