import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/** What the demo is asked to do. */
export interface DemoOptions {
  /** A directory of models in hub layout, `<org>/<name>/...`, for the second part. */
  readonly models: string | undefined;
  /** Where the drawn images go. */
  readonly out: string;
  /** Leave the server running at the end, until Ctrl-C. */
  readonly stay: boolean;
  readonly help: boolean;
}

/** The demo's own directory. */
export const DEMO_DIR = fileURLToPath(new URL('../../', import.meta.url));

/** The project's directory. */
export const PROJECT_DIR = fileURLToPath(new URL('../../../', import.meta.url));

export const USAGE = `Usage: npm run demo -- [--models DIR] [--out DIR] [--stay]

Shows the pair on models that come with the project: a local hub, the downloader, the server offline, the client.

  --models DIR  then again with real models from a directory in hub layout (DIR/<org>/<name>/...): Whisper base,
                   MiniLM and YuNet, on the samples beside it (DIR/../samples)
  --out DIR     where the images with the faces drawn on them go (default: demo/out)
  --stay           leave the server running until Ctrl-C, to try the commands
  --help           show this
`;

/**
 * Reads the command line. Paths are meant from where npm was called.
 *
 * @throws TypeError for anything that is not in USAGE
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
  if (models !== undefined && !existsSync(models)) throw new TypeError(`--models: ${models} is not there`);
  const out = values.out === undefined ? join(DEMO_DIR, 'out') : resolve(from, values.out);
  return { models, out, stay: values.stay, help: values.help };
}
