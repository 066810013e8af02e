// A plain image server in Python (../vision/server_peer.py), called over HTTP.
import { byCallers } from './callers.js';
import { startPython } from './python.js';

/** Starts it; `take({ with: [contents, callers] })` embeds the images, one per call, from that many concurrent callers. */
export async function startImageServer(python, model) {
  const server = await startPython(python, '../vision/server_peer.py', { model });
  const { result: port } = await server.take({ do: 'port' });
  const embed = async (body) => {
    const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body });
    if (!response.ok) throw new Error(`The Python server answered ${response.status}: ${await response.text()}`);
    return (await response.json()).vector;
  };
  const take = async ({ with: [contents, callers] }) => {
    const startedAt = performance.now();
    const vectors = await byCallers(callers, contents, embed);
    return { seconds: (performance.now() - startedAt) / 1000, result: vectors.at(-1) };
  };
  return { take, close: server.close };
}
