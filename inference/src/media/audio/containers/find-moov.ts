import { latin1, viewOf } from '../../bytes.js';
import type { ArrivingSource } from './arriving-source.js';

const TOP_LEVEL_MAX = 10_000;

export interface MoovBox {
  readonly body: Uint8Array;
  /** Offset of the byte after it in the file. */
  readonly end: number;
}

/** Returns the `moov` box of a file whose index was just read; undefined if it has no readable one. */
export async function findMoov(source: ArrivingSource): Promise<MoovBox | undefined> {
  let position = 0;
  for (let count = 0; count < TOP_LEVEL_MAX; count++) {
    const box = await headerAt(source, position);
    // One without a size, or of size 0, which reaches to the end of the file, is followed by none.
    if (box === undefined || box.sizeBytes < box.headerBytes) return undefined;
    const end = position + box.sizeBytes;
    if (box.type === 'moov') {
      const body = await source.read(position + box.headerBytes, end);
      return body === null ? undefined : { body, end };
    }
    position = end;
  }
  return undefined;
}

async function headerAt(source: ArrivingSource, position: number) {
  const header = await source.read(position, position + 8);
  if (header === null) return undefined;
  const type = latin1(header, 4, 8);
  const sizeBytes = viewOf(header).getUint32(0);
  if (sizeBytes !== 1) return { type, sizeBytes, headerBytes: 8 };
  const large = await source.read(position + 8, position + 16);
  return large === null ? undefined : { type, sizeBytes: Number(viewOf(large).getBigUint64(0)), headerBytes: 16 };
}
