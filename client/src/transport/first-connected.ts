import { setTimeout as sleep } from 'node:timers/promises';
import type { Endpoint } from './endpoint.js';

/** How long a chosen server may take to connect before the others are considered: gRPC and RFC 8305 give an address as long. */
const HEAD_START_MS = 250;

/**
 * Waits for a connection to the chosen server, until `deadlineMs` (by nowMs), and after a while for one to any of `others` as well: a server
 * that accepts connections and says nothing would otherwise take all the time of the call. Its own connection attempt goes on.
 * Returns the first that is connected, or the chosen one as Endpoint.connect does, and throws as that does.
 */
export async function firstConnected(
  chosen: Endpoint,
  others: () => readonly Endpoint[],
  deadlineMs: number,
  signal: AbortSignal,
): Promise<Endpoint> {
  const connected = chosen.connect(deadlineMs, signal).then(() => chosen);
  if (chosen.connected || others().length === 0) return connected;
  const ended = new AbortController();
  const other = async () => {
    await sleep(HEAD_START_MS, undefined, { signal: ended.signal });
    return Promise.any(others().map((endpoint) => connectedTo(endpoint, deadlineMs, ended.signal)));
  };
  try {
    return await Promise.race([connected, other().catch(() => connected)]);
  } finally {
    ended.abort();
  }
}

/** Rejects if the connection fails. */
async function connectedTo(endpoint: Endpoint, deadlineMs: number, signal: AbortSignal): Promise<Endpoint> {
  await endpoint.connect(deadlineMs, signal);
  if (!endpoint.connected) throw new Error(`${endpoint.address} is not connected`);
  return endpoint;
}
