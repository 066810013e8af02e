/** Worker thread that hashes files: receives a path, replies with the hash. Started by hash-pool.ts. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { messageOf } from '@heimdex/common';
import { READ_PART_BYTES, startContentHash } from './content-hash.js';
import type { HashReply, HashTask } from './hash-pool.js';

const part = Buffer.allocUnsafe(READ_PART_BYTES);

function hashOf({ type, path }: HashTask): string {
  const file = openSync(path, 'r');
  try {
    const hash = startContentHash(type, fstatSync(file).size);
    for (;;) {
      const bytesRead = readSync(file, part, 0, part.length, null);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(part.subarray(0, bytesRead));
    }
  } finally {
    closeSync(file);
  }
}

function replyTo(task: HashTask): HashReply {
  try {
    return { hash: hashOf(task) };
  } catch (cause) {
    return { failure: messageOf(cause) };
  }
}

parentPort?.on('message', (task: HashTask) => parentPort?.postMessage(replyTo(task)));
