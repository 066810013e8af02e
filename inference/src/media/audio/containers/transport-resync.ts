import { joinBytes } from '../../bytes.js';
import { findTransportLayout } from '../transport-layout.js';
import { AdtsMark } from './adts-mark.js';
import { FrameResync, type Resync, transportLengthAt } from './frame-resync.js';
import {
  AAC,
  audioWithoutName,
  contentOf,
  firstProgram,
  gatherMaps,
  mapsIn,
  PACKET_BYTES,
  packetsIn,
  pidOf,
  streamsOf,
} from './transport-map.js';
import { joinUntimed } from './transport-times.js';

/** Program maps come several times a second; the audio they map begins soon after. */
const HELD_MAX_BYTES = 1_048_576;

/**
 * Passes the packets of an MPEG-TS in their plain form of 188 bytes, without damage between them, as the demuxer reads them: with the first
 * program that has audio alone, its map in one piece, a time in each packet of data, and a name for audio that FFmpeg writes into M2TS as
 * private data, for Blu-ray has no AAC and no MP3.
 */
export class TransportResync implements Resync {
  readonly warnings: string[] = [];
  readonly #frames: FrameResync;
  readonly #first: number;
  readonly #stride: number;
  /** Packets up to a decision about the program map; undefined: decided. */
  #held: Uint8Array | undefined = new Uint8Array(0);
  /** The streams of AAC, by their packet ids. */
  readonly #aac = new Map<number, AdtsMark>();

  constructor(head: Uint8Array) {
    [this.#first, this.#stride] = findTransportLayout(head) ?? [0, PACKET_BYTES];
    this.#frames = new FrameResync(transportLengthAt(this.#first, this.#stride));
  }

  get droppedBytes(): number {
    return this.#frames.droppedBytes;
  }

  push(chunk: Uint8Array): Uint8Array {
    return this.#named(this.#plain(this.#frames.push(chunk)), false);
  }

  end(): Uint8Array {
    const rest = this.#frames.end();
    return this.#named(rest.slice(this.#first, this.#first + PACKET_BYTES), true);
  }

  /** Returns the packets without what is around them. */
  #plain(frames: Uint8Array): Uint8Array {
    if (this.#stride === PACKET_BYTES) return frames;
    const packets = new Uint8Array((frames.length / this.#stride) * PACKET_BYTES);
    for (let from = this.#first, to = 0; to < packets.length; from += this.#stride, to += PACKET_BYTES)
      packets.set(frames.subarray(from, from + PACKET_BYTES), to);
    return packets;
  }

  #named(packets: Uint8Array, ended: boolean): Uint8Array {
    joinUntimed(packets);
    if (this.#held === undefined) return this.#marked(packets);
    const held = gatherMaps(joinBytes(this.#held, packets));
    const complete = ended || held.length >= HELD_MAX_BYTES;
    const program = firstProgram(held, complete);
    const changes = program && audioWithoutName(held, program.map);
    if (changes === undefined && !complete) {
      this.#held = held;
      return new Uint8Array(0);
    }
    this.#held = undefined;
    for (const { to, bytes } of [...(program?.changes ?? []), ...(changes ?? [])]) to.set(bytes);
    if (program !== undefined && program.programCount > 1)
      this.warnings.push(`The MPEG-TS lists ${program.programCount} programs; the first with audio was used.`);
    const streams = mapsIn(held).flatMap(streamsOf);
    for (const { type, pid } of streams) if (type === AAC) this.#aac.set(pid, new AdtsMark());
    return this.#marked(held);
  }

  #marked(packets: Uint8Array): Uint8Array {
    if (this.#aac.size === 0) return packets;
    for (const packet of packetsIn(packets)) this.#aac.get(pidOf(packet))?.mark(contentOf(packet));
    return packets;
  }
}
