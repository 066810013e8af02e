import { viewOf } from '../../bytes.js';
import { audioUnreadable } from '../undecodable.js';
import { type HeaderReader, type PcmFormat, SIZE_UNKNOWN, textAt } from './pcm-headers.js';
import { parseWavFormat } from './wav-format.js';

const RIFF_BYTES = 12;
const CHUNK_HEADER_BYTES = 8;
/** Maximum size of a `fmt ` or `ds64` chunk. */
const HEADER_CHUNK_MAX_BYTES = 65_536;

/**
 * WAV, RF64 and BW64 (Microsoft RIFF, EBU Tech 3306): chunks, of which `fmt ` has the format and `data` the samples. A size of 0 or 0xFFFFFFFF
 * in a stream means "until the end".
 */
export function* readWavHeader(): HeaderReader {
  const riffBytes = (yield RIFF_BYTES).getUint32(4, true);
  let seenBytes = RIFF_BYTES;
  let format: PcmFormat | undefined;
  let dataBytes64: number | undefined;
  for (;;) {
    const head = yield CHUNK_HEADER_BYTES;
    seenBytes += CHUNK_HEADER_BYTES;
    const id = textAt(head, 0);
    const size = head.getUint32(4, true);
    const paddedBytes = size + (size % 2);
    if (id === 'data') {
      if (format === undefined) {
        throw audioUnreadable("The WAV content has no 'fmt' chunk before its samples; it is damaged.");
      }
      if (size === SIZE_UNKNOWN) return { ...format, dataBytes: dataBytes64 };
      // A valid file without samples has further chunks; a writer that did not fill in the sizes afterwards has none.
      const hasMore = riffBytes !== SIZE_UNKNOWN && riffBytes + 8 > seenBytes;
      return { ...format, dataBytes: size > 0 || hasMore ? size : undefined };
    }
    if (id === 'fmt ') format = parseWavFormat(yield* readBody(id, size));
    else if (id === 'ds64') dataBytes64 = sizeOf(yield* readBody(id, size));
    else yield -paddedBytes;
    seenBytes += paddedBytes;
  }
}

function* readBody(id: string, size: number): Generator<number, Uint8Array, DataView> {
  if (size > HEADER_CHUNK_MAX_BYTES)
    throw audioUnreadable(`The WAV header is damaged: its '${id.trim()}' chunk has ${size} bytes.`);
  const { buffer, byteOffset } = yield size + (size % 2);
  return new Uint8Array(buffer, byteOffset, size);
}

/** The size of the samples in a `ds64` chunk; undefined if unknown. */
function sizeOf(ds64: Uint8Array): number | undefined {
  const size = ds64.length < 16 ? 0 : Number(viewOf(ds64).getBigUint64(8, true));
  return size > 0 && Number.isSafeInteger(size) ? size : undefined;
}
