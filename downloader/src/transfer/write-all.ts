import type { FileHandle } from 'node:fs/promises';

/** Writes all bytes of several buffers at a position; continues after a short write. */
export async function writeAll(handle: FileHandle, chunks: readonly Buffer[], position: number): Promise<void> {
  let rest: Buffer[] = [...chunks];
  let at = position;
  while (rest.length > 0) {
    const { bytesWritten } = await handle.writev(rest, at);
    at += bytesWritten;
    rest = dropBytes(rest, bytesWritten);
  }
}

function dropBytes(chunks: readonly Buffer[], count: number): Buffer[] {
  let left = count;
  const rest: Buffer[] = [];
  for (const chunk of chunks) {
    if (left >= chunk.length) {
      left -= chunk.length;
    } else {
      rest.push(left > 0 ? chunk.subarray(left) : chunk);
      left = 0;
    }
  }
  return rest;
}
