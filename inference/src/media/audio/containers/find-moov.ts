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
    const header = await source.read(position, position + 8);
    if (header === null) return undefined;
    const view = viewOf(header);
    const type = latin1(header, 4, 8);
    let size = view.getUint32(0);
    let headerBytes = 8;
    if (size === 1) {
      const large = await source.read(position + 8, position + 16);
      if (large === null) return undefined;
      size = Number(viewOf(large).getBigUint64(0));
      headerBytes = 16;
    }
    if (type === 'moov' && size === 0) return undefined;
    if (type === 'moov') {
      const body = await source.read(position + headerBytes, position + size);
      return body === null ? undefined : { body, end: position + size };
    }
    if (size < headerBytes) return undefined;
    position += size;
  }
  return undefined;
}
