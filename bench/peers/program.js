// A peer that is a program with an HTTP server, if it is in PATH.
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Absent } from './python.js';

const LOAD_MS = 60_000;

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/**
 * Starts it with flags, to which its port is added, and waits until `GET /health` succeeds. Resolves with `post` (POST of a body to a
 * path; resolves with the parsed JSON), `pid` and `close`. Rejects with Absent if the program is missing or does not start.
 */
export async function startProgram(program, flags) {
  const port = await freePort();
  const args = Object.entries({ ...flags, port }).flatMap(([name, value]) => [`--${name}`, String(value)]);
  // Its default environment; this server's workers use huge pages.
  const { GLIBC_TUNABLES: _, ...env } = process.env;
  const child = spawn(program, args, { stdio: 'ignore', env: { ...env, HF_HUB_OFFLINE: '1' } });
  const kill = () => child.kill();
  process.once('exit', kill);
  let ended = '';
  child.once('error', (error) => {
    ended = error.code === 'ENOENT' ? `no ${program} in PATH` : error.message;
  });
  const closed = new Promise((resolve) => child.once('close', resolve));
  child.once('close', (status) => {
    ended ||= `${program} ended with ${status}`;
  });
  const address = `http://127.0.0.1:${port}`;
  const isReady = () =>
    fetch(`${address}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
  const until = performance.now() + LOAD_MS;
  while (!(await isReady())) {
    if (ended === '' && performance.now() > until) ended = `${program} was not ready in ${LOAD_MS / 1000} s`;
    if (ended !== '') {
      process.off('exit', kill);
      kill();
      throw new Absent(ended);
    }
    await sleep(100);
  }
  const post = async (path, body, headers) => {
    const response = await fetch(`${address}${path}`, { method: 'POST', headers, body });
    if (!response.ok) throw new Error(`${program} answered ${response.status}: ${await response.text()}`);
    return response.json();
  };
  const close = async () => {
    process.off('exit', kill);
    kill();
    await closed;
  };
  return { post, pid: child.pid, close };
}
