import type { AudioCodec, EncodedPacket, OutputFormat } from 'mediabunny';
import type { FilmTrack } from './choose-track.js';
import { type EditList, offsetSeconds, withEditList } from './edit-list.js';
import type { FilmKind } from './film-kind.js';

type Mediabunny = typeof import('mediabunny');

/** What a track is sent with. */
export interface TrackAudioOptions {
  readonly kind: FilmKind;
  /** Of MP4 and QuickTime. */
  readonly edits: EditList | undefined;
  /** Told the end of the last packet, in seconds of the film. */
  readonly ended: (seconds: number) => void;
}

const OPUS_RATE_HZ = 48_000;
/** Where OpusHead has the samples to skip (RFC 7845). */
const PRE_SKIP_AT = 10;
const FRAGMENT_SECONDS = 1;
/** Times of MP4 grow; the server takes what differs by this for rounding. */
const BACK_MAX_SECONDS = 0.1;

/** The container in which a codec is sent; undefined: none can hold it. */
export function formatFor(codec: AudioCodec | null, library: Mediabunny): OutputFormat | undefined {
  const options = { fastStart: 'fragmented', minimumFragmentDuration: FRAGMENT_SECONDS } as const;
  const formats = [new library.Mp4OutputFormat(options), new library.MovOutputFormat(options)];
  return codec === null ? undefined : formats.find((format) => format.getSupportedAudioCodecs().includes(codec));
}

/**
 * One audio track as a fragmented MP4 that begins with its index: the packets as they are, at the times they have in the film. A
 * second of audio is held at a time.
 */
export async function* trackAudio(
  library: Mediabunny,
  { input, codec, language }: FilmTrack,
  { kind, edits, ended }: TrackAudioOptions,
): AsyncGenerator<Uint8Array, void, void> {
  const format = formatFor(codec, library);
  const decoderConfig = await input.getDecoderConfig();
  if (codec === null || format === undefined || decoderConfig === null) throw new Error('its audio track is damaged');
  const written: Uint8Array[] = [];
  const sink = new WritableStream<Uint8Array>({ write: (chunk) => void written.push(chunk.slice()) });
  const output = new library.Output({ format, target: new library.AppendOnlyStreamTarget(sink) });
  const source = new library.EncodedAudioPacketSource(codec);
  output.addAudioTrack(source, language === '' ? {} : { languageCode: language });
  let index: Buffer | undefined = Buffer.alloc(0);
  /** What has been written, the index with its edit list. */
  const take = (): Uint8Array => {
    const bytes = Buffer.concat(written.splice(0));
    if (edits === undefined || index === undefined) return bytes;
    index = Buffer.concat([index, bytes]);
    const parts = indexOf(index);
    if (parts === undefined) return new Uint8Array();
    index = undefined;
    return Buffer.concat([parts.before, withEditList(parts.moov, edits), parts.after]);
  };
  // Packets are sent at the times of the media, for which the edit list was made.
  const shift = (edits === undefined ? 0 : offsetSeconds(edits)) - (kind === 'matroska' ? opusDelay(decoderConfig) : 0);
  let endSeconds = 0;
  let last = Number.NEGATIVE_INFINITY;
  try {
    await output.start();
    const packets = new library.EncodedPacketSink(input);
    let packet: EncodedPacket | null = await packets.getFirstPacket();
    while (packet !== null) {
      endSeconds = packet.timestamp + packet.duration;
      const wanted = packet.timestamp + shift;
      if (wanted < last - BACK_MAX_SECONDS) throw new Error('the clock of its audio track goes back');
      const timestamp = Math.max(wanted, last + 1 / decoderConfig.sampleRate);
      last = timestamp;
      // Copied: a packet keeps alive all that was read around it.
      const copy = packet.clone({ data: packet.data.slice(), timestamp, type: 'key' });
      await source.add(copy, { decoderConfig });
      if (written.length > 0) {
        const chunk = take();
        if (chunk.length > 0) yield chunk;
      }
      packet = await packets.getNextPacket(packet);
    }
    await output.finalize();
    ended(endSeconds);
    yield withoutRandomAccess(take());
  } finally {
    if (output.state !== 'finalized') await output.cancel();
  }
}

/** Matroska leaves the samples that Opus skips at its start in the times; MP4 does not. */
function opusDelay({ codec, description }: AudioDecoderConfig): number {
  if (codec !== 'opus' || description === undefined) return 0;
  const view = ArrayBuffer.isView(description)
    ? new DataView(description.buffer, description.byteOffset, description.byteLength)
    : new DataView(description);
  return view.byteLength < PRE_SKIP_AT + 2 ? 0 : view.getUint16(PRE_SKIP_AT, true) / OPUS_RATE_HZ;
}

/** The index (moov) within the beginning of a file; undefined: it is not there yet. */
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

/** A table of where fragments begin comes last (mfra); with another index before them it would be wrong, and nobody needs it. */
function withoutRandomAccess(chunk: Uint8Array): Uint8Array {
  const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  const size = bytes.length < 16 ? 0 : bytes.readUInt32BE(bytes.length - 4);
  const at = bytes.length - size;
  return size >= 16 && at >= 0 && bytes.toString('latin1', at + 4, at + 8) === 'mfra' ? bytes.subarray(0, at) : bytes;
}
