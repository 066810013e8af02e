/** Files grouped into calls within the server's limits. */
import type { LimitsJson } from '@heimdex/gen';

const MAX_ITEMS = 16;
/** Base64 makes four bytes of three; the rest is JSON. */
const JSON_BYTES_PER_BYTE = 1.4;

/** The largest file that a message holds. */
function maxFileBytes({ maxMessageBytes }: LimitsJson): number {
  return Math.floor((Number(maxMessageBytes) || Number.POSITIVE_INFINITY) / JSON_BYTES_PER_BYTE);
}

/** Why a file cannot be sent; undefined if it can. It is not read: the browser may not be able to hold it. */
export function refusalOf({ size }: Blob, limits: LimitsJson): string | undefined {
  const maxBytes = maxFileBytes(limits);
  if (size <= maxBytes) return undefined;
  const [most, got] = [maxBytes, size].map((bytes) => (bytes / 2 ** 20).toFixed(1));
  return `Expected at most ${most} MiB, got ${got} MiB. Choose a smaller file, or raise MAX_MESSAGE_MIB.`;
}

/** Groups of at most 16 files, and of no more than one message. */
export function groupsOf<Sized extends { readonly size: number }>(
  files: readonly Sized[],
  limits: LimitsJson,
): Sized[][] {
  const maxItems = Math.max(1, Math.min(MAX_ITEMS, limits.maxBatchItems ?? MAX_ITEMS));
  const maxBytes = maxFileBytes(limits);
  const groups: Sized[][] = [];
  let bytes = 0;
  for (const file of files) {
    const group = groups.at(-1);
    if (group !== undefined && group.length < maxItems && bytes + file.size <= maxBytes) {
      group.push(file);
      bytes += file.size;
    } else {
      groups.push([file]);
      bytes = file.size;
    }
  }
  return groups;
}
