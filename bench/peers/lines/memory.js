import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { memoryMib } from '../../support/memory.js';
import { mixedFiles, speechPeers, transcribeAll } from './speech.js';

const CALLERS = 16;
/** From the start or a call to rest: a worker gives back what they have left 2.5 s later. */
const REST_MS = 4000;

/** Memory (PSS) of all processes at rest, on a server that has served nothing else: after the start, and after calls of 16 callers. */
export function memory(options) {
  const peers = Object.values(speechPeers(options));
  const paths = mixedFiles(options.shared);
  const contents = paths.map((path) => readFileSync(path));
  const line = (name, { peer, start }, work) => ({
    name: `memory of speech, ${name}`,
    peer,
    unit: 'MiB',
    start,
    round: async (client, server, other) => {
      await work(client, other);
      return { ours: memoryMib(server.child.pid), peer: memoryMib(other.pid) };
    },
    compare: () => '-',
  });
  const called = async (client, other) => {
    await transcribeAll(client, contents, CALLERS, { language: 'en' });
    await other.take({ do: 'transcribe', with: [paths, 'en', CALLERS] });
    await sleep(REST_MS);
  };
  return [
    ...peers.map((peer) => line('idle', peer, () => sleep(REST_MS))),
    ...peers.map((peer) => line(`after ${paths.length} files of ${CALLERS} callers`, peer, called)),
  ];
}
