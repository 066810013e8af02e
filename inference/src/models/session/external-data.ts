import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { unsafePathReason } from '@heimdex/cache';
import { throwNamed } from '@heimdex/common';
import { type ExternalReference, externalReferences } from '../../onnx/index.js';

/** A file with external weights of a graph. */
export interface ExternalFile {
  /** As named in the graph. */
  readonly name: string;
  readonly path: string;
}

/**
 * Returns the files with a graph's external weights, each once, sorted by name. Graphs come from the network, so a
 * graph may name only files that were found and verified, and only byte ranges within them.
 *
 * @param allowed - Absolute paths of the model's files.
 *
 * Throws, before reading anything but the graph, when the graph names any other file (an absolute path, a path out of
 * its directory, a file that is not the model's), something that is not a file, or bytes outside the file or
 * overlapping another tensor's.
 */
export async function externalFilesOf(graph: string, allowed: readonly string[]): Promise<readonly ExternalFile[]> {
  const byName = new Map<string, ExternalReference[]>();
  for (const reference of externalReferences(graph)) {
    byName.set(reference.location, [...(byName.get(reference.location) ?? []), reference]);
  }
  const files: ExternalFile[] = [];
  for (const [name, references] of [...byName].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const path = join(dirname(graph), name);
    const unsafe = unsafePathReason(name);
    if (unsafe !== undefined) throw refused(graph, name, `${unsafe}`);
    if (!allowed.includes(path)) {
      throw refused(
        graph,
        name,
        "it is not among the model's files: add it to the files of a manifest (MODELS_MANIFEST)",
      );
    }
    const info = await stat(path);
    if (!info.isFile()) throw refused(graph, name, 'it is not a file');
    assertRanges(graph, name, references, info.size);
    files.push({ name, path });
  }
  return files;
}

/** Tensors may share a range, as tied weights do. Partially overlapping ranges are invalid. */
function assertRanges(graph: string, name: string, references: readonly ExternalReference[], sizeBytes: number): void {
  let end = 0;
  let previous: ExternalReference | undefined;
  for (const reference of [...references].sort((a, b) => a.offset - b.offset || (a.length ?? 0) - (b.length ?? 0))) {
    const { tensor, offset, length = 0 } = reference;
    const what = `${length} bytes from ${offset} on for the tensor ${JSON.stringify(tensor.slice(0, 80))}`;
    if (offset + length > sizeBytes) throw refused(graph, name, `it has ${sizeBytes} bytes, and ${what} are wanted`);
    const same = previous?.offset === offset && previous.length === reference.length;
    if (!same && length > 0) {
      if (offset < end) throw refused(graph, name, `${what} overlap those of another tensor`);
      end = offset + length;
      previous = reference;
    }
  }
}

function refused(graph: string, name: string, why: string): Error {
  const shown = JSON.stringify(name.slice(0, 200));
  return new Error(`The graph ${graph} asks for weights in ${shown}, which is refused: ${why}.`);
}

/** Maximum bytes per read. */
const READ_BYTES = 1024 * 1024 * 1024;

/** Reads a file of any size. Never blocks on a pipe. Throws when it is not a regular file. */
export async function readExternalFile(path: string): Promise<Uint8Array> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const info = await file.stat();
    if (!info.isFile()) throw new Error(`Expected a file at ${path}.`);
    return await readAll(file, new Uint8Array(info.size), path);
  } finally {
    await file.close();
  }
}

async function readAll(file: FileHandle, bytes: Uint8Array, path: string): Promise<Uint8Array> {
  let filled = 0;
  while (filled < bytes.length) {
    const count = Math.min(READ_BYTES, bytes.length - filled);
    const { bytesRead } = await file.read(bytes, filled, count, filled).catch((error) => throwNamed(path, error));
    if (bytesRead === 0) throw new Error(`${path} became shorter while it was read.`);
    filled += bytesRead;
  }
  return bytes;
}
