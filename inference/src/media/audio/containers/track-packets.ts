import { EncodedPacketSink, type InputAudioTrack } from 'mediabunny';
import { opusPreSkip } from '../decoders/opus.js';
import type { AudioPacket, PacketFormat } from '../decoders/packet-decoder.js';

const OPUS_RATE_HZ = 48_000;
/** A clock that starts later belongs to a longer stream of which this is a part. */
const CLOCK_START_MAX_SECONDS = 60;

export interface PacketSource {
  readonly input: InputAudioTrack;
  /** Offset added to the container's times. */
  readonly shiftSeconds: number;
}

/**
 * Yields the packets of a track in order, as copies: the library's packets are views that would keep the surrounding bytes
 * alive.
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

/** Returns Opus's pre-skip in seconds: Matroska includes these samples in the packets and their times. */
export function opusDelaySeconds(format: PacketFormat): number {
  return format.codec === 'opus' ? opusPreSkip(format.description) / OPUS_RATE_HZ : 0;
}
