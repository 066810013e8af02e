import { createReadStream } from 'node:fs';
import type { TransportLayout } from './container-kind.js';

const CHUNK_BYTES = 1_024 * 1_024;
const SYNC = 0x47;
const NULL_PID = 0x1fff;
const PACKET_BYTES = 188;
/**
 * Leading frames of each video track that are kept: the timeline starts at the earliest of all tracks, and the codec of a
 * track is detected from its first frames.
 */
const FRAMES_KEPT = 8;

/**
 * Yields an MPEG-TS without its video packets, except for the first frames. Everything else is passed through, damage
 * included, so the server reports the same errors as for the whole file.
 */
export async function* transportAudio(
  path: string,
  { first, stride }: TransportLayout,
): AsyncGenerator<Uint8Array, void, void> {
  const frames = new Map<number, number>();
  const dropped = (packet: Uint8Array): boolean => {
    const flags = packet[first + 1] ?? 0;
    const pid = ((flags & 0x1f) << 8) | (packet[first + 2] ?? 0);
    if (pid === NULL_PID) return true;
    const begins = (flags & 0x40) !== 0;
    if (begins && startsVideoFrame(packet, first)) frames.set(pid, (frames.get(pid) ?? 0) + 1);
    return (frames.get(pid) ?? 0) > FRAMES_KEPT;
  };
  let held = Buffer.alloc(0);
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
    const bytes = Buffer.concat([held, chunk]);
    const kept: Uint8Array[] = [];
    let at = 0;
    let from = 0;
    // Require the sync bytes at both ends of a packet.
    while (at + stride + PACKET_BYTES <= bytes.length) {
      const framed = bytes[at + first] === SYNC && bytes[at + stride + first] === SYNC;
      if (framed && dropped(bytes.subarray(at, at + stride))) {
        kept.push(bytes.subarray(from, at));
        from = at + stride;
      }
      at += framed ? stride : 1;
    }
    kept.push(bytes.subarray(from, at));
    held = bytes.subarray(at);
    const passed = Buffer.concat(kept);
    if (passed.length > 0) yield passed;
  }
  if (held.length > 0) yield held;
}

/** Whether a packet starts a PES packet with a video stream id (ISO 13818-1). */
function startsVideoFrame(packet: Uint8Array, first: number): boolean {
  const adapted = ((packet[first + 3] ?? 0) & 0x20) !== 0;
  const at = first + 4 + (adapted ? 1 + (packet[first + 4] ?? 0) : 0);
  const started = packet[at] === 0 && packet[at + 1] === 0 && packet[at + 2] === 1;
  return started && ((packet[at + 3] ?? 0) & 0xf0) === 0xe0;
}
