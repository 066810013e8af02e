/** Serves a folder tree as a hub, by hand: `node dist/src/main.js [--port 8090] [--host 127.0.0.1] FOLDER...`. */
import { parseArgs } from 'node:util';
import { startHub } from './start-hub.js';

const USAGE = `Usage: heimdex-hub [--port PORT] [--host HOST] FOLDER...

Serves every FOLDER/<org>/<name>/ as a model repository, with the API of the Hugging Face hub.
Point HF_ENDPOINT at the address it prints.
`;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { port: { type: 'string', default: '0' }, host: { type: 'string' }, help: { type: 'boolean' } },
  });
  if (values.help === true || positionals.length === 0) {
    process.stdout.write(USAGE);
    process.exitCode = values.help === true ? 0 : 2;
    return;
  }
  const { host } = values;
  const hub = await startHub({
    folders: positionals,
    port: Number(values.port),
    ...(host === undefined ? {} : { host }),
  });
  for (const name of hub.names()) process.stdout.write(`${name} ${hub.commit(name).sha}\n`);
  process.stdout.write(`HF_ENDPOINT=${hub.url}\n`);
  const stop = () => void hub.close();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
}

await main();
