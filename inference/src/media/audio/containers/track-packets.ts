import { EncodedPacketSink, type InputAudioTrack } from 'mediabunny';
import { opusPreSkip } from '../decoders/opus.js';
import type { AudioPacket, PacketFormat } from '../decoders/packet-decoder.js';

const OPUS_RATE_HZ = 48_000;
/** A clock that begins later is that of a stream of which this is a chunk. */
const CLOCK_START_MAX_SECONDS = 60;

export interface PacketSource {
  readonly input: InputAudioTrack;
  /** Added to the container's times. */
  readonly shiftSeconds: number;
}

/**
 * The packets of a track in their order, each in memory of its own: what a container hands out would keep alive all that lies
 * around it.
 */
export async function* packetsOf({ input, shiftSeconds }: PacketSource): AsyncGenerator<AudioPacket, void, void> {
  const sink = new EncodedPacketSink(input);
  let packet = await sink.getFirstPacket();
  const first = packet?.timestamp ?? 0;
  const shift = first > CLOCK_START_MAX_SECONDS + Math.abs(shiftSeconds) ? -first : shiftSeconds;
  while (packet !== null) {
    yield {
      data: packet.data.slice(),
      timestampSeconds: packet.timestamp + shift,
      durationSeconds: packet.duration,
    };
    packet = await sink.getNextPacket(packet);
  }
}

/** Matroska leaves the samples that Opus skips at its start in the packets and in their times. */
export function opusDelaySeconds(format: PacketFormat): number {
  return format.codec === 'opus' ? opusPreSkip(format.description) / OPUS_RATE_HZ : 0;
}
