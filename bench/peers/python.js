// A Python peer that stays loaded and takes turns (take_turns in ../support/peer.py).
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { startProcess } from './process.js';

/** Says why a peer cannot run here: not installed, or without its model. */
export class Absent extends Error {}

/**
 * Starts a script with a job. The peer's `take({ do, with })` resolves with `seconds` and `result`; `pid` is its process. Rejects with
 * Absent if Python or a package is missing.
 */
export async function startPython(python, script, job) {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const { child, closed, close } = startProcess(python, [path], ['pipe', 'pipe', 'pipe']);
  let why = '';
  child.once('error', (error) => {
    why = error.message;
  });
  child.stdin.on('error', () => {});
  createInterface({ input: child.stderr }).on('line', (line) => {
    if (line.trim() !== '') why = line.trim();
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (message) => {
    child.stdin.write(`${JSON.stringify(message)}\n`);
    const { value, done } = await lines.next();
    if (!done) return JSON.parse(value);
    await closed;
    throw new Absent(why);
  };
  await answer({ ...job, turns: true });
  return { take: answer, pid: child.pid, close: () => close(() => child.stdin.end()) };
}
