import {
  foreignCodecName,
  internalTrackOf,
  isMpegAudio,
  keepLaceTimes,
  keepPcmPackets,
  limitSamples,
} from '@heimdex/common';
import type { AudioCodec, InputAudioTrack } from 'mediabunny';
import { InferenceError } from '../../../errors.js';
import { joinAll, viewOf } from '../../bytes.js';
import { parseAacConfig } from '../decoders/aac-config.js';
import { PACKET_CODECS } from '../decoders/codecs.js';
import type { PacketCodec, PacketFormat } from '../decoders/packet-decoder.js';
import type { PcmFormat } from '../decoders/pcm-headers.js';
import { isSampleEncoding, type SampleEncoding } from '../decoders/samples.js';
import { parseWavFormat } from '../decoders/wav-format.js';
import { unsupportedFormat } from '../formats.js';
import { audioUnreadable } from '../undecodable.js';
import type { IndexedTrack } from './mp4-index.js';

/** An audio track of a container. */
export interface AudioTrack {
  /** Index among the audio tracks, from 0. */
  readonly index: number;
  readonly id: number;
  /** Codec name in messages. */
  readonly codecName: string;
  /** ISO 639-2 code; empty if unknown. */
  readonly language: string;
  readonly isDefault: boolean;
  /** Undefined: it cannot be decoded. */
  readonly format: PacketFormat | undefined;
  /** Why it cannot be decoded, if not just because of its codec. */
  readonly refusal: InferenceError | undefined;
  readonly input: InputAudioTrack;
  /** Bytes that the container removed from the beginning of each packet. */
  readonly strippedHeader: Uint8Array;
}

const LIBRARY_NAMES: Readonly<Partial<Record<AudioCodec, string>>> = { dts: 'DTS' };

/** Describes a track. `indexed`: for MP4, the properties that the library does not provide. */
export async function describeTrack(
  input: InputAudioTrack,
  index: number,
  indexed: IndexedTrack | undefined,
): Promise<AudioTrack> {
  const codec = await input.getCodec();
  const internalId = await input.getInternalCodecId();
  const alacConfig = indexed?.alacConfig ?? (internalId === 'A_ALAC' ? codecPrivateOf(input) : undefined);
  const disposition = await input.getDisposition();
  const language = await input.getLanguageCode();
  const windows = internalId === 'A_MS/ACM' ? windowsFormat(codecPrivateOf(input)) : undefined;
  const encoding = codec === null ? windows?.encoding : encodingOf(codec);
  const packets = codec === null ? (windows?.packets?.codec ?? foreignCodec(internalId, alacConfig)) : codecOf(codec);
  const own = encoding !== undefined ? 'pcm' : packets;
  const isNamed = own !== undefined && (codec !== null || windows !== undefined);
  const codecName = isNamed ? PACKET_CODECS[own].name : nameOf(codec, internalId);
  limitSamples(input);
  keepLaceTimes(input);
  const strippedHeader = takeStrippedHeader(input);
  const isEncrypted = indexed?.encrypted === true;
  const track = {
    index,
    id: input.id,
    codecName: isEncrypted ? `encrypted ${codecName}` : codecName,
    language: language === 'und' ? '' : language,
    isDefault: disposition.default,
    input,
    strippedHeader,
  };
  if (isEncrypted || own === undefined) return { ...track, format: undefined, refusal: undefined };
  try {
    if (encoding !== undefined) keepPcmPackets(input);
    const config = codec === null ? null : await input.getDecoderConfig();
    const format: PacketFormat = {
      codec: own,
      // The 16 bits of MP4's are 0 from 65,536 Hz: ALAC has its own, of others the track's times count samples, as FFmpeg reads it.
      sampleRateHz:
        (await input.getSampleRate()) ||
        alacRateHz(alacConfig) ||
        (indexed === undefined ? 0 : await input.getTimeResolution()),
      channelCount: await input.getNumberOfChannels(),
      description: own === 'alac' ? alacConfig : (windows?.packets?.description ?? descriptionOf(config?.description)),
      ...(encoding === undefined ? {} : { encoding }),
    };
    checkFormat(format);
    checkStrippedHeader(strippedHeader);
    return { ...track, format, refusal: undefined };
  } catch (error) {
    const refusal =
      error instanceof InferenceError ? error : audioUnreadable('Its codec configuration is damaged.', error);
    return { ...track, format: undefined, refusal };
  }
}

/** The library's names of codecs are those here. */
function codecOf(codec: AudioCodec): PacketCodec | undefined {
  return Object.keys(PACKET_CODECS).find((known): known is PacketCodec => known === codec);
}

/** The library's names of samples are those here behind "pcm-", or alone. */
function encodingOf(codec: AudioCodec): SampleEncoding | undefined {
  const name = codec.replace('pcm-', '');
  return isSampleEncoding(name) ? name : undefined;
}

/** Formats a track, such as "0 (AAC, eng)". */
export function trackText({ index, codecName, language }: AudioTrack): string {
  return `${index} (${[codecName, language].filter((part) => part !== '').join(', ')})`;
}

/** The library's internal access to a track of Matroska, in 1.61: it describes only the codecs it knows (`alac.test.ts` fails with another). */
interface MatroskaTrack {
  readonly codecPrivate?: Uint8Array | null;
  /** Those of blocks; other kinds than header stripping do not come here. */
  readonly decodingInstructions?: { readonly data: { readonly settings?: Uint8Array | null } | null }[];
}

function codecPrivateOf(input: InputAudioTrack): Uint8Array | undefined {
  return internalTrackOf<MatroskaTrack>(input)?.codecPrivate ?? undefined;
}

/**
 * Takes the header stripping of Matroska from the library, which adds the header to a block; that of several frames (lacing) has it in
 * each (RFC 9559, 5.1.4.1.31).
 */
function takeStrippedHeader(input: InputAudioTrack): Uint8Array {
  const instructions = internalTrackOf<MatroskaTrack>(input)?.decodingInstructions?.splice(0) ?? [];
  return joinAll(instructions.map(({ data }) => data?.settings ?? new Uint8Array(0)).reverse());
}

const ALAC_RATE_OFFSET = 20;

function alacRateHz(config: Uint8Array | undefined): number {
  if (config === undefined || config.length < ALAC_RATE_OFFSET + 4) return 0;
  return viewOf(config).getUint32(ALAC_RATE_OFFSET);
}

/** Reads the configuration of a codec of Windows in Matroska, which is the format of a WAV. Undefined: it is not decoded. */
function windowsFormat(config: Uint8Array = new Uint8Array(0)): PcmFormat | undefined {
  try {
    return parseWavFormat(config);
  } catch {
    return undefined;
  }
}

function foreignCodec(
  id: string | number | Uint8Array | null,
  alacConfig: Uint8Array | undefined,
): PacketCodec | undefined {
  // The MP3 decoder handles layers 1 and 2 as well.
  if (isMpegAudio(id)) return 'mp3';
  return (id === 'alac' || id === 'A_ALAC') && alacConfig !== undefined ? 'alac' : undefined;
}

function nameOf(codec: AudioCodec | null, id: string | number | Uint8Array | null): string {
  return codec === null ? foreignCodecName(id) : (LIBRARY_NAMES[codec] ?? codec);
}

/** Real ones have some bytes. Each frame gets a copy: with one of 1 MB, a file of 6 kB took 2 s. */
const STRIPPED_MAX_BYTES = 1_024;

function checkStrippedHeader({ length }: Uint8Array): void {
  if (length <= STRIPPED_MAX_BYTES) return;
  throw audioUnreadable(`Its frames share a header of ${length} bytes, expected at most ${STRIPPED_MAX_BYTES}.`);
}

function checkFormat(format: PacketFormat): void {
  const unsupported = unsupportedFormat(format.channelCount, format.sampleRateHz);
  if (unsupported !== undefined) throw audioUnreadable(`${unsupported}.`);
  if (format.codec === 'aac' && format.description !== undefined) parseAacConfig(format.description);
}

function descriptionOf(description: ArrayBufferLike | ArrayBufferView | undefined): Uint8Array | undefined {
  if (description === undefined) return undefined;
  const bytes = ArrayBuffer.isView(description)
    ? new Uint8Array(description.buffer, description.byteOffset, description.byteLength)
    : new Uint8Array(description);
  return bytes.slice();
}
