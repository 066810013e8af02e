/**
 * mediabunny as its single CommonJS file. The ES modules are some 150 files, and each decoder thread that opens a container would load
 * them: 55 ms of CPU time more.
 */
import { createRequire } from 'node:module';

export const mediabunny = createRequire(import.meta.url)('mediabunny') as typeof import('mediabunny');
