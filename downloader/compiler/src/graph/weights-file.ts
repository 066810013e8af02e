import { createHash, type Hash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { MIB } from '@heimdex/common';
import type { TensorData } from '@heimdex/onnx';
import { collectGarbage } from './garbage.js';
import type { ConstantValues } from './graph.js';

/** Tensors are page-aligned, so that the runtime can map each of them. */
const ALIGNMENT = 4096;

/** Bytes written between two garbage collections. */
const COLLECT_EVERY_BYTES = 32 * MIB;

/** A file that was written. */
export interface WrittenFile {
  readonly name: string;
  readonly sizeBytes: number;
  /** Hex. */
  readonly sha256: string;
}

/** The weights file of a graph: written sequentially, and hashed while writing if it is to be kept. */
export class WeightsFile {
  readonly #descriptor: number;
  readonly #hash: Hash | undefined;
  #sizeBytes = 0;
  #isClosed = false;

  constructor(
    path: string,
    readonly name: string,
    use: 'stays' | 'passes' = 'stays',
  ) {
    this.#hash = use === 'stays' ? createHash('sha256') : undefined;
    this.#descriptor = openSync(path, 'wx');
  }

  /** Writes a tensor; returns its location. */
  store(parts: Iterable<ConstantValues>): TensorData {
    const gap = -this.#sizeBytes & (ALIGNMENT - 1);
    if (gap > 0) this.#append(new Uint8Array(gap));
    const offset = this.#sizeBytes;
    for (const part of parts) this.#append(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
    return { kind: 'external', location: this.name, offset, length: this.#sizeBytes - offset };
  }

  #append(bytes: Uint8Array): void {
    this.#hash?.update(bytes);
    let written = 0;
    while (written < bytes.length) {
      written += writeSync(this.#descriptor, bytes, written, Math.min(bytes.length - written, 1 << 30));
    }
    const before = this.#sizeBytes;
    this.#sizeBytes += bytes.length;
    if (Math.floor(before / COLLECT_EVERY_BYTES) < Math.floor(this.#sizeBytes / COLLECT_EVERY_BYTES)) collectGarbage();
  }

  close(): WrittenFile {
    fsyncSync(this.#descriptor);
    this.abandon();
    return { name: this.name, sizeBytes: this.#sizeBytes, sha256: this.#hash?.digest('hex') ?? '' };
  }

  /** Closes a file that is not kept. Idempotent. */
  abandon(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    closeSync(this.#descriptor);
  }
}
