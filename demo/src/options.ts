import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/** Options of the demo. */
export interface DemoOptions {
  /** Directory of real models in hub layout, `<org>/<name>/...`, for a second run. */
  readonly models: string | undefined;
  /** Directory for images with drawn faces. */
  readonly out: string;
  /** Keep the server running until Ctrl-C. */
  readonly stay: boolean;
  readonly help: boolean;
}

/** Directory of the demo. */
export const DEMO_DIR = fileURLToPath(new URL('../../', import.meta.url));

/** Root directory of the project. */
export const PROJECT_DIR = fileURLToPath(new URL('../../../', import.meta.url));

export const USAGE = `Usage: npm run demo -- [--models DIR] [--out DIR] [--stay]

Demonstrates the programs with the included models: a local hub, the downloader, the offline server, the client.

  --models DIR  run again with real models from a directory in hub layout (DIR/<org>/<name>/...): Whisper base,
                MiniLM and YuNet, on the samples in DIR/../samples
  --out DIR     directory for images with drawn faces (default: demo/out)
  --stay        keep the server running until Ctrl-C, to try the commands
  --help        show this help
`;

/**
 * Parses the command line. Paths are relative to the directory in which npm was called.
 * Throws TypeError for anything not in USAGE.
 */
export function readOptions(args: readonly string[], from: string): DemoOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      models: { type: 'string' },
      out: { type: 'string' },
      stay: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const models = values.models === undefined ? undefined : resolve(from, values.models);
  if (models !== undefined && !existsSync(models)) throw new TypeError(`--models: ${models} does not exist`);
  const out = values.out === undefined ? join(DEMO_DIR, 'out') : resolve(from, values.out);
  return { models, out, stay: values.stay, help: values.help };
}
