// Hugging Face's text-embeddings-inference, if its server is in PATH.
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { temporaryDir } from '../support/dir.js';
import { Absent } from './python.js';

const PROGRAM = 'text-embeddings-router';
const LOAD_MS = 60_000;

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Its ONNX backend knows one file name, so the 8-bit graph gets it. */
function withGraph(dir, file) {
  const copy = temporaryDir();
  cpSync(dir, copy, { recursive: true, filter: (path) => !path.endsWith('onnx') });
  mkdirSync(join(copy, 'onnx'), { recursive: true });
  symlinkSync(join(dir, file), join(copy, 'onnx/model.onnx'));
  return copy;
}

/** Starts it on a model directory; `take({ with: [texts, size] })` embeds the texts in calls of `size`. */
export async function startTei(dir, file, maxTexts) {
  const port = await freePort();
  const flags = { hostname: '127.0.0.1', port, 'model-id': withGraph(dir, file), 'max-client-batch-size': maxTexts };
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(PROGRAM, args, { stdio: 'ignore', env: { ...process.env, HF_HUB_OFFLINE: '1' } });
  const kill = () => child.kill();
  process.once('exit', kill);
  let ended = '';
  child.once('error', (error) => {
    ended = error.code === 'ENOENT' ? `no ${PROGRAM} in PATH` : error.message;
  });
  const closed = new Promise((resolve) => child.once('close', resolve));
  child.once('close', (status) => {
    ended ||= `${PROGRAM} ended with ${status}`;
  });
  const address = `http://127.0.0.1:${port}`;
  const isReady = () =>
    fetch(`${address}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
  const until = performance.now() + LOAD_MS;
  while (!(await isReady())) {
    if (ended !== '') throw new Absent(ended);
    if (performance.now() > until) throw new Absent(`${PROGRAM} was not ready in ${LOAD_MS / 1000} s`);
    await sleep(100);
  }
  const take = async ({ with: [texts, size] }) => {
    const startedAt = performance.now();
    let vectors = [];
    for (let start = 0; start < texts.length; start += size) {
      const body = JSON.stringify({ inputs: texts.slice(start, start + size), truncate: true });
      const headers = { 'content-type': 'application/json' };
      const response = await fetch(`${address}/embed`, { method: 'POST', headers, body });
      if (!response.ok) throw new Error(`${PROGRAM} answered ${response.status}: ${await response.text()}`);
      vectors = await response.json();
    }
    return { seconds: (performance.now() - startedAt) / 1000, result: vectors.at(-1) };
  };
  const close = async () => {
    process.off('exit', kill);
    child.kill();
    await closed;
  };
  return { take, close };
}
