/** Files grouped into calls within the server's limits. */
import type { LimitsJson } from '@heimdex/gen';

const MAX_ITEMS = 16;
/** Base64 makes four bytes of three; the rest is JSON. */
export const JSON_BYTES_PER_BYTE = 1.4;

/** Groups of at most 16 files, and of no more than one message. A file larger than a message is alone: the server refuses it. */
export function groupsOf<Sized extends { readonly size: number }>(
  files: readonly Sized[],
  limits: LimitsJson,
): Sized[][] {
  const maxItems = Math.max(1, Math.min(MAX_ITEMS, limits.maxBatchItems ?? MAX_ITEMS));
  const maxBytes = Number(limits.maxMessageBytes ?? 0) / JSON_BYTES_PER_BYTE;
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
