/** The thread's side of hash-thread.ts. */
import { parentPort } from 'node:worker_threads';
import { codeOf, messageOf } from '@heimdex/common';
import type { HashReply, HashRequest } from './hash-thread.js';
import { openInlineHasher, type PrefixHasher } from './prefix-hasher.js';

const hashers = new Map<number, PrefixHasher>();

/** Requests are answered one after the other, in their order. */
let last = Promise.resolve();
parentPort?.on('message', (request: HashRequest) => {
  last = last.then(async () => parentPort?.postMessage(await answer(request)));
});

async function answer(request: HashRequest): Promise<HashReply> {
  try {
    return { hex: (await carryOut(request)) ?? '' };
  } catch (error) {
    return { failure: messageOf(error), code: codeOf(error) };
  }
}

async function carryOut(request: HashRequest): Promise<string | undefined> {
  const { op, id } = request;
  if (op === 'open') {
    hashers.set(id, await openInlineHasher(request));
    return undefined;
  }
  const hasher = hashers.get(id);
  if (hasher === undefined) throw new Error(`no file ${id} is open`);
  if (op === 'advance') return hasher.advance(request.end);
  if (op === 'rollback') await hasher.rollback();
  else {
    hashers.delete(id);
    await hasher.close();
  }
  return undefined;
}
