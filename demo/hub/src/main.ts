/** Command line of the hub: serves directories, or the embedded models. */
import { parseArgs } from 'node:util';
import { embeddedRepositories } from './embedded.js';
import { startHub } from './start-hub.js';

const USAGE = `Usage: node demo/hub/dist/src/main.js [--port PORT] [--host HOST] [DIR...]

Serves every DIR/<org>/<name>/ as a model repository, with the API of the Hugging Face hub; the embedded models
when no directory is given. Point HF_ENDPOINT at the address it prints. Ctrl-C ends it.
`;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { port: { type: 'string', default: '0' }, host: { type: 'string' }, help: { type: 'boolean' } },
  });
  if (values.help === true) {
    process.stdout.write(USAGE);
    return;
  }
  const { host } = values;
  const hub = await startHub({
    dirs: positionals,
    repositories: positionals.length === 0 ? await embeddedRepositories() : [],
    port: Number(values.port),
    ...(host === undefined ? {} : { host }),
  });
  if (hub.names().length === 0) {
    await hub.close();
    throw new Error(`Expected repositories in ${positionals.join(' or ')}, as DIR/<org>/<name>/, found none`);
  }
  for (const name of hub.names()) process.stdout.write(`${name} ${hub.commit(name).sha}\n`);
  process.stdout.write(`HF_ENDPOINT=${hub.url}\n`);
  const stop = () => void hub.close();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
}

try {
  await main();
} catch (error) {
  // A directory, a port or an option that cannot be used.
  process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${USAGE}`);
  process.exitCode = 2;
}
