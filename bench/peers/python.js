// A Python peer that stays loaded and takes turns (take_turns in ../support/peer.py).
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** Says why a peer cannot run here: not installed, or without its model. */
export class Absent extends Error {}

/**
 * Starts a script with a job. The peer's `take({ do, with })` resolves with `seconds` and `result`; `pid` is its process. Rejects with
 * Absent if Python or a package is missing.
 */
export async function startPython(python, script, job) {
  // Its default environment; this server's workers use huge pages.
  const { GLIBC_TUNABLES: _, ...env } = process.env;
  const child = spawn(python, [fileURLToPath(new URL(script, import.meta.url))], {
    env: { ...env, HF_HUB_OFFLINE: '1' },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const kill = () => child.kill();
  process.once('exit', kill);
  let why = '';
  child.once('error', (error) => {
    why = error.message;
  });
  child.stdin.on('error', () => {});
  createInterface({ input: child.stderr }).on('line', (line) => {
    if (line.trim() !== '') why = line.trim();
  });
  const closed = new Promise((resolve) => child.once('close', resolve));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (message) => {
    child.stdin.write(`${JSON.stringify(message)}\n`);
    const { value, done } = await lines.next();
    if (!done) return JSON.parse(value);
    await closed;
    throw new Absent(why);
  };
  await answer({ ...job, turns: true });
  const close = async () => {
    process.off('exit', kill);
    child.stdin.end();
    await closed;
  };
  return { take: answer, pid: child.pid, close };
}
