/**
 * Runs the local hub with the embedded models in a container of the stack's outside network, and prints `HF_ENDPOINT=...`
 * with the container's address. `--slow` sends every file slowly, to interrupt downloads. Each ORG/NAME=DIR adds a
 * repository. Needs a build.
 */
import { networkInterfaces } from 'node:os';
import { parseArgs } from 'node:util';
import { embeddedRepositories, filesIn, startHub } from '../../demo/hub/dist/src/index.js';

const PORT = 8090;
const SLOW = { on: { kind: 'bytes' }, do: { type: 'slow', partBytes: 16_384, pauseMs: 100 } };

const { values, positionals } = parseArgs({ options: { slow: { type: 'boolean' } }, allowPositionals: true });
const host = Object.values(networkInterfaces())
  .flat()
  .find((address) => address.family === 'IPv4' && !address.internal)?.address;
if (host === undefined) throw new Error('This container has no address: attach it to a network');

const repositories = await embeddedRepositories();
for (const pair of positionals) {
  const [name, dir] = pair.split('=', 2);
  repositories.push({ name, files: await filesIn(dir) });
}
const hub = await startHub({ host, port: PORT, repositories, faults: values.slow === true ? [SLOW] : [] });
console.log(`HF_ENDPOINT=${hub.url}`);
process.once('SIGTERM', () => void hub.close());
