import type { Hash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { startContentHash } from '@heimdex/cache';
import { codeOf, MIB, messageOf } from '@heimdex/common';
import type { HashReply, HashRequest } from './hash-thread.js';

/** The thread's side of hash-thread.ts. It reads and hashes synchronously: it has no other work. */
interface OpenFile {
  readonly path: string;
  readonly fd: number;
  hash: Hash;
  position: number;
  before: { readonly hash: Hash; readonly position: number };
}

const files = new Map<number, OpenFile>();
const buffer = Buffer.allocUnsafe(MIB);

parentPort?.on('message', (request: HashRequest) => {
  parentPort?.postMessage(answer(request));
});

function answer(request: HashRequest): HashReply {
  try {
    return { hex: carryOut(request) };
  } catch (error) {
    return { failure: messageOf(error), code: codeOf(error) };
  }
}

function carryOut(request: HashRequest): string {
  if (request.op === 'open') {
    const { id, path, type, sizeBytes } = request;
    const hash = startContentHash(type, sizeBytes);
    files.set(id, { path, fd: openSync(path, 'r'), hash, position: 0, before: { hash: hash.copy(), position: 0 } });
    return '';
  }
  const file = files.get(request.id);
  if (file === undefined) throw new Error(`no file ${request.id} is open`);
  switch (request.op) {
    case 'advance':
      return advance(file, request.end);
    case 'rollback':
      file.hash = file.before.hash.copy();
      file.position = file.before.position;
      return '';
    case 'close':
      files.delete(request.id);
      closeSync(file.fd);
      return '';
  }
}

function advance(file: OpenFile, end: number): string {
  file.before = { hash: file.hash.copy(), position: file.position };
  while (file.position < end) {
    const bytes = Math.min(buffer.length, end - file.position);
    const bytesRead = readSync(file.fd, buffer, 0, bytes, file.position);
    if (bytesRead === 0) throw new Error(`${file.path} ends at ${file.position}, before ${end}`);
    file.hash.update(buffer.subarray(0, bytesRead));
    file.position += bytesRead;
  }
  return file.hash.copy().digest('hex');
}
