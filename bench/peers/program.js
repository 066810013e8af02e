// A peer that is a program with an HTTP server, if it is in PATH.
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { startProcess } from './process.js';
import { Absent } from './python.js';

const LOAD_MS = 60_000;

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts the process. `ended()` says why it ended, and is empty while it runs. */
function launch(program, args) {
  const { child, close } = startProcess(program, args, 'ignore');
  let reason = '';
  child.once('error', (error) => {
    reason = error.code === 'ENOENT' ? `no ${program} in PATH` : error.message;
  });
  child.once('close', (status) => {
    reason ||= `${program} ended with ${status}`;
  });
  return { pid: child.pid, ended: () => reason, close };
}

async function untilReady(program, address, ended) {
  const isReady = () =>
    fetch(`${address}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
  const until = performance.now() + LOAD_MS;
  while (!(await isReady())) {
    if (ended() !== '') throw new Absent(ended());
    if (performance.now() > until) throw new Absent(`${program} was not ready in ${LOAD_MS / 1000} s`);
    await sleep(100);
  }
}

/**
 * Starts it with flags, to which its port is added, and waits until `GET /health` succeeds. Resolves with `post` (POST of a body to a
 * path; resolves with the parsed JSON), `pid` and `close`. Rejects with Absent if the program is missing or does not start.
 */
export async function startProgram(program, flags) {
  const port = await freePort();
  const args = Object.entries({ ...flags, port }).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const { pid, ended, close } = launch(program, args);
  const address = `http://127.0.0.1:${port}`;
  try {
    await untilReady(program, address, ended);
  } catch (error) {
    await close();
    throw error;
  }
  const post = async (path, body, headers) => {
    const response = await fetch(`${address}${path}`, { method: 'POST', headers, body });
    if (!response.ok) throw new Error(`${program} answered ${response.status}: ${await response.text()}`);
    return response.json();
  };
  return { post, pid, close };
}
