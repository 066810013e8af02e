import { internalTrackOf } from '@heimdex/common';
import type { EncodedPacket, InputAudioTrack } from 'mediabunny';
import { joinBytes } from '../../bytes.js';
import { opusPreSkip } from '../decoders/opus.js';
import type { AudioPacket, PacketFormat } from '../decoders/packet-decoder.js';
import { mediabunny } from './mediabunny.js';

const OPUS_RATE_HZ = 48_000;
/** A clock that starts later belongs to a longer stream of which this is a part. */
const CLOCK_START_MAX_SECONDS = 60;

export interface PacketSource {
  readonly input: InputAudioTrack;
  /** Bytes to put in front of each packet. */
  readonly strippedHeader: Uint8Array;
  /** Offset added to the container's times. */
  readonly shiftSeconds: number;
  /** Where an MP4 may have fragments. */
  readonly fragmentsOffset?: number | undefined;
}

/**
 * Yields the packets of a track in order, as copies: the library's packets are views that would keep the surrounding bytes
 * alive.
 */
export async function* packetsOf({
  input,
  strippedHeader,
  shiftSeconds,
  fragmentsOffset,
}: PacketSource): AsyncGenerator<AudioPacket, void, void> {
  continueAdtsTimes(input);
  passFragments(input);
  const sink = new mediabunny.EncodedPacketSink(input);
  let packet = await sink.getFirstPacket();
  const first = packet?.timestamp ?? 0;
  const shift = first > CLOCK_START_MAX_SECONDS + Math.abs(shiftSeconds) ? -first : shiftSeconds;
  while (packet !== null) {
    yield {
      data: joinBytes(strippedHeader, packet.data),
      timestampSeconds: packet.timestamp + shift,
      durationSeconds: packet.duration,
    };
    const next = await sink.getNextPacket(packet);
    packet = next ?? (fragmentsOffset === undefined ? null : await firstOfFragments(input, packet, fragmentsOffset));
  }
}

/** The library's internal access to the track of ADTS, in 1.61. */
interface AdtsTrack {
  readonly demuxer?: {
    readonly loadedSamples?: { timestamp: number; readonly duration: number }[];
    advanceReader(): Promise<void>;
  };
}

/** Makes each frame of ADTS begin at the end of the one before: the library counts all of them at the rate of the last one. */
function continueAdtsTimes(input: InputAudioTrack): void {
  const { demuxer } = (input as unknown as { readonly _backing: AdtsTrack })._backing;
  const frames = demuxer?.loadedSamples;
  if (demuxer === undefined || frames === undefined) return;
  const advance = demuxer.advanceReader;
  demuxer.advanceReader = async () => {
    const before = frames.at(-1);
    await advance.call(demuxer);
    const last = frames.at(-1);
    if (last !== undefined && before !== undefined && last !== before)
      last.timestamp = before.timestamp + before.duration;
  };
}

/** Where a fragment is, as the library looks for the next one. */
interface FragmentPosition {
  readonly moofOffset: number;
  moofSize: number;
}
/** The library's internal reader of MP4, in 1.61. */
interface Mp4Demuxer {
  readonly reader: { requestSliceRange(start: number, min: number, max: number): MaybePromise<Slice | null> };
  readFragment?(start: number): Promise<FragmentPosition>;
}
interface Slice {
  readonly view: DataView;
  readonly bufferPos: number;
  readonly remainingLength: number;
}
type MaybePromise<Value> = Value | Promise<Value>;

const BOX_HEADER_BYTES = 8;
/** "mdat". */
const MDAT = 0x6d646174;

/**
 * Makes each fragment of an MP4 end behind its media: the library looks for the next one from the beginning of the media, which is not
 * retained if it is long.
 */
function passFragments(input: InputAudioTrack): void {
  const demuxer = internalTrackOf<{ readonly demuxer: Mp4Demuxer }>(input)?.demuxer;
  const readFragment = demuxer?.readFragment;
  if (demuxer === undefined || readFragment === undefined || Object.hasOwn(demuxer, 'readFragment')) return;
  const passed = new WeakSet<FragmentPosition>();
  demuxer.readFragment = async (start) => {
    const fragment = await readFragment.call(demuxer, start);
    if (passed.has(fragment)) return fragment;
    passed.add(fragment);
    const end = fragment.moofOffset + fragment.moofSize;
    const header = await demuxer.reader.requestSliceRange(end, BOX_HEADER_BYTES, BOX_HEADER_BYTES);
    const isMedia = header !== null && header.view.getUint32(header.bufferPos + 4) === MDAT;
    // Sizes of 64 bits and those of no fixed end are the library's to read.
    const mediaBytes = isMedia ? header.view.getUint32(header.bufferPos) : 0;
    if (mediaBytes >= BOX_HEADER_BYTES) fragment.moofSize += mediaBytes;
    return fragment;
  };
}

/** A fragment as the library looks for the next one: its position, and its samples by track. */
interface Fragment {
  readonly moofOffset: number;
  readonly moofSize: number;
  readonly trackData: ReadonlyMap<number, object>;
}
interface Match {
  readonly sampleIndex: number;
  readonly correctSampleFound: boolean;
}
/** The library's internal access to a track of an MP4, in 1.61 (`cases.test.ts` fails with another). */
interface Mp4Track {
  readonly packetToSampleIndex: WeakMap<EncodedPacket, number>;
  performFragmentedLookup(
    start: Fragment,
    match: (fragment: Fragment) => Match,
    from: number,
    to: number,
    options: object,
  ): Promise<EncodedPacket | null>;
}

/**
 * Returns the first packet of the fragments that follow the samples of the index: FFmpeg's `frag_keyframe` alone writes such
 * files, and the library ends them with the index's samples. Null if `last` was itself in a fragment.
 */
async function firstOfFragments(
  input: InputAudioTrack,
  last: EncodedPacket,
  offset: number,
): Promise<EncodedPacket | null> {
  const track = (input as unknown as { readonly _backing: Mp4Track })._backing;
  if (!track.packetToSampleIndex.has(last)) return null;
  const before: Fragment = { moofOffset: offset, moofSize: 0, trackData: new Map() };
  const match = ({ trackData }: Fragment): Match =>
    trackData.has(input.id)
      ? { sampleIndex: 0, correctSampleFound: true }
      : { sampleIndex: -1, correctSampleFound: false };
  return track.performFragmentedLookup(before, match, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, {});
}

/** Returns Opus's pre-skip in seconds: Matroska includes these samples in the packets and their times. */
export function opusDelaySeconds(format: PacketFormat): number {
  return format.codec === 'opus' ? opusPreSkip(format.description) / OPUS_RATE_HZ : 0;
}
