import { BACK_MAX_SECONDS, BEGINNING_SECONDS, clockJump, OVERLAP_MIN_SECONDS } from '@heimdex/common';
import type { AudioCodec, EncodedPacket, OutputFormat } from 'mediabunny';
import type { TrackInfo } from './choose-track.js';
import type { ContainerKind } from './container-kind.js';
import { type EditList, offsetSeconds, withEditList } from './edit-list.js';

type Mediabunny = typeof import('mediabunny');

/** Options of trackAudio. */
export interface TrackAudioOptions {
  readonly kind: ContainerKind;
  /** Edit list of an MP4 or QuickTime track. */
  readonly edits: EditList | undefined;
  /** Called with the end of the last packet, in seconds on the file's timeline. */
  readonly ended: (seconds: number) => void;
  /** Called if the clock jumps back, with what to warn of. */
  readonly jumped: (warning: string) => void;
}

const OPUS_RATE_HZ = 48_000;
/** Offset of the pre-skip in OpusHead (RFC 7845). */
const PRE_SKIP_OFFSET = 10;
const FRAGMENT_SECONDS = 1;
/** MP4 timestamps must increase; the server treats smaller steps back as rounding. */
const MAX_BACKWARD_SECONDS = 0.1;

/** Returns the container format for a codec, or undefined if none supports it. */
export function formatFor(codec: AudioCodec | null, library: Mediabunny): OutputFormat | undefined {
  const options = { fastStart: 'fragmented', minimumFragmentDuration: FRAGMENT_SECONDS } as const;
  const formats = [new library.Mp4OutputFormat(options), new library.MovOutputFormat(options)];
  return codec === null ? undefined : formats.find((format) => format.getSupportedAudioCodecs().includes(codec));
}

/**
 * Remuxes one audio track into a fragmented MP4 that starts with its index. Packets are copied with their original
 * timestamps. One second of audio is buffered at a time.
 */
export async function* trackAudio(
  library: Mediabunny,
  { input, codec, language }: TrackInfo,
  { kind, edits, ended, jumped }: TrackAudioOptions,
): AsyncGenerator<Uint8Array, void, void> {
  const format = formatFor(codec, library);
  const decoderConfig = await input.getDecoderConfig();
  if (codec === null || format === undefined || decoderConfig === null) throw new Error('the audio track is damaged');
  const written: Uint8Array[] = [];
  const sink = new WritableStream<Uint8Array>({ write: (chunk) => void written.push(chunk.slice()) });
  const output = new library.Output({ format, target: new library.AppendOnlyStreamTarget(sink) });
  const source = new library.EncodedAudioPacketSource(codec);
  output.addAudioTrack(source, language === '' ? {} : { languageCode: language });
  let index: Buffer | undefined = Buffer.alloc(0);
  /** Returns the bytes written since the last call, with the edit list added to the index. */
  const drain = (): Uint8Array => {
    const bytes = Buffer.concat(written.splice(0));
    if (edits === undefined || index === undefined) return bytes;
    index = Buffer.concat([index, bytes]);
    const parts = indexOf(index);
    if (parts === undefined) return new Uint8Array();
    index = undefined;
    return Buffer.concat([parts.before, withEditList(parts.moov, edits), parts.after]);
  };
  const timestampOf = retimer(decoderConfig, { kind, edits, jumped });
  let endSeconds = 0;
  try {
    await output.start();
    const packets = new library.EncodedPacketSink(input);
    let packet: EncodedPacket | null = await packets.getFirstPacket();
    while (packet !== null) {
      endSeconds = packet.timestamp + packet.duration;
      // Copy the data: a packet is a view of a larger buffer.
      const copy = packet.clone({ data: packet.data.slice(), timestamp: timestampOf(packet), type: 'key' });
      await source.add(copy, { decoderConfig });
      if (written.length > 0) {
        const chunk = drain();
        if (chunk.length > 0) yield chunk;
      }
      packet = await packets.getNextPacket(packet);
    }
    await output.finalize();
    ended(endSeconds);
    yield withoutRandomAccess(drain());
  } finally {
    if (output.state !== 'finalized') await output.cancel();
  }
}

/** Returns what gives packets, one after the other, their times in the output, in seconds. It throws for times that cannot be written. */
function retimer(
  decoderConfig: AudioDecoderConfig,
  { kind, edits, jumped }: Omit<TrackAudioOptions, 'ended'>,
): (packet: EncodedPacket) => number {
  // Packets keep their media timestamps, to which the edit list refers.
  let shift = (edits === undefined ? 0 : offsetSeconds(edits)) - (kind === 'matroska' ? opusDelay(decoderConfig) : 0);
  let last = Number.NEGATIVE_INFINITY;
  let lastEnd = Number.NEGATIVE_INFINITY;
  return ({ timestamp, duration }) => {
    // A jump of the clock, which the server ignores: the audio goes on.
    const backward = lastEnd - timestamp - shift;
    const least = timestamp < BEGINNING_SECONDS ? OVERLAP_MIN_SECONDS : BACK_MAX_SECONDS;
    if (edits === undefined && backward > least) {
      shift += backward;
      jumped(clockJump('back', backward, lastEnd));
    }
    const shifted = timestamp + shift;
    lastEnd = shifted + duration;
    // The writer would move all of them, and the edit list not.
    if (edits !== undefined && Math.round(shifted * decoderConfig.sampleRate) < 0)
      throw new Error('the media begins before time 0');
    if (shifted < last - MAX_BACKWARD_SECONDS) throw new Error('timestamps of the audio track decrease');
    last = Math.max(shifted, last + 1 / decoderConfig.sampleRate);
    return last;
  };
}

/** Returns the Opus pre-skip in seconds: Matroska timestamps include it, MP4's do not. */
function opusDelay({ codec, description }: AudioDecoderConfig): number {
  if (codec !== 'opus' || description === undefined) return 0;
  const view = ArrayBuffer.isView(description)
    ? new DataView(description.buffer, description.byteOffset, description.byteLength)
    : new DataView(description);
  return view.byteLength < PRE_SKIP_OFFSET + 2 ? 0 : view.getUint16(PRE_SKIP_OFFSET, true) / OPUS_RATE_HZ;
}

/** Splits the start of a file at its moov box. Returns undefined if the box is not complete yet. */
function indexOf(bytes: Buffer) {
  let at = 0;
  while (at + 8 <= bytes.length) {
    const end = at + bytes.readUInt32BE(at);
    if (end > bytes.length || end <= at) return undefined;
    if (bytes.toString('latin1', at + 4, at + 8) === 'moov') {
      return { before: bytes.subarray(0, at), moov: bytes.subarray(at, end), after: bytes.subarray(end) };
    }
    at = end;
  }
  return undefined;
}

/** Removes the trailing table of fragment offsets (mfra): the changed index makes it wrong, and it is optional. */
function withoutRandomAccess(chunk: Uint8Array): Uint8Array {
  const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  const size = bytes.length < 16 ? 0 : bytes.readUInt32BE(bytes.length - 4);
  const at = bytes.length - size;
  return size >= 16 && at >= 0 && bytes.toString('latin1', at + 4, at + 8) === 'mfra' ? bytes.subarray(0, at) : bytes;
}
