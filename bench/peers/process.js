// The process of a peer.
import { spawn } from 'node:child_process';
import process from 'node:process';

/**
 * Starts it, offline and with its default environment (this server's workers use huge pages). `close(end)` ends it, by default with a
 * signal, and waits; it ends with this process too.
 */
export function startProcess(program, args, stdio) {
  const { GLIBC_TUNABLES: _, ...env } = process.env;
  const child = spawn(program, args, { stdio, env: { ...env, HF_HUB_OFFLINE: '1' } });
  const kill = () => child.kill();
  process.once('exit', kill);
  const closed = new Promise((resolve) => child.once('close', resolve));
  const close = async (end = kill) => {
    process.off('exit', kill);
    end();
    await closed;
  };
  return { child, closed, close };
}
