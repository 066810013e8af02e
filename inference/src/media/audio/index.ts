import { InferenceError } from '../../errors.js';
import type { Priority } from '../../priority.js';
import { joinBytes } from '../bytes.js';
import { ByteSource } from './byte-source.js';
import { cancelled, DecodedSource } from './decoded-source.js';
import { DecoderThreads, maxThreadsWithin } from './decoder-threads.js';
import type { DecoderChoice } from './decoders/create.js';
import { detectFormat, headBytes } from './detect-format.js';
import { CHANNELS_MAX, type RawAudioFormat, SAMPLE_RATE_MAX_HZ, SAMPLE_RATE_MIN_HZ } from './formats.js';
import { canDecodeInline, createInlineDecoder } from './inline-decoder.js';
import type { PcmSource } from './pcm.js';
import type { DecoderHost } from './session.js';
import { TAG_HEADER_BYTES, tagLength } from './tags.js';
import { audioUnreadable } from './undecodable.js';

export { AUDIO_FORMATS, type AudioFormat, type AudioTrackInfo, type RawAudioFormat } from './formats.js';

export interface OpenAudioOptions {
  /** Format of content without a container. */
  readonly raw?: RawAudioFormat | undefined;
  /** Index of the audio track. Default: the default track if it can be decoded, else the first that can. */
  readonly audioTrack?: number | undefined;
  /** For longer audio, `read` throws AUDIO_TOO_LONG. */
  readonly maxSeconds: number;
  /** On abort, the decoder is closed and reads reject with CANCELLED. */
  readonly signal: AbortSignal;
  /** For the decoder threads, of which bulk calls have a part. Default: interactive. */
  readonly priority?: Priority;
}

/** Longer tags before the audio are not skipped. */
const TAGS_MAX_BYTES = 64 * 1_024 * 1_024;

/** Shared by the process; holds at most one idle thread. */
const threads = new DecoderThreads();

/** Limits how many audio files are decoded at a time, by the memory and the cores of the server and its workers. For a server's start. */
export function limitDecoders(memoryBytes: number, cores: number): void {
  threads.limit(maxThreadsWithin(memoryBytes), cores);
}

/**
 * Opens an audio file, complete or as it arrives, for reading as 16 kHz mono, and waits for its first samples. Decodes in a
 * separate thread, at most a few seconds ahead of the reader; uncompressed 16 kHz samples are decoded inline. Rejects with
 * AUDIO_UNREADABLE (naming what was received), INVALID_ARGUMENT (`raw`, `audioTrack`) or CANCELLED. `content` must not be
 * changed until the source is closed.
 */
export async function openAudio(
  content: Uint8Array | AsyncIterable<Uint8Array>,
  options: OpenAudioOptions,
): Promise<PcmSource> {
  if (options.raw !== undefined) checkRaw(options.raw);
  if (options.signal.aborted) throw cancelled();
  const bytes = new ByteSource(content);
  let source: DecodedSource | undefined;
  try {
    const { format, head, tagBytes } = await untilAborted(readHead(bytes, options.raw), options.signal);
    const contentBytes = content instanceof Uint8Array ? content.length - tagBytes : undefined;
    const decoder = await startDecoding({ format, contentBytes, audioTrack: options.audioTrack }, head, options);
    source = new DecodedSource(decoder, bytes, options.maxSeconds, options.signal);
    await source.begin();
    return source;
  } catch (error) {
    bytes.close();
    await source?.close();
    throw error;
  }
}

async function startDecoding(
  choice: DecoderChoice,
  head: Uint8Array,
  { signal, priority }: OpenAudioOptions,
): Promise<DecoderHost> {
  if (canDecodeInline(choice.format, head)) return createInlineDecoder(choice);
  return threads.open(choice, signal, priority).catch((error: unknown) => {
    throw signal.aborted ? cancelled() : error;
  });
}

/** What is known of a content before it is decoded. */
interface Head {
  readonly format: DecoderChoice['format'];
  readonly head: Uint8Array;
  /** Length of the tags before it, which were skipped. */
  readonly tagBytes: number;
}

/** Reads until the format is detected; the bytes remain in the source, without tags before them. */
async function readHead(bytes: ByteSource, raw: RawAudioFormat | undefined): Promise<Head> {
  const tagBytes = raw === undefined ? await skipTags(bytes) : 0;
  let head: Uint8Array = new Uint8Array(0);
  for (;;) {
    const part = await bytes.next();
    if (part === undefined && head.length === 0 && tagBytes > 0)
      throw audioUnreadable('The audio ends with the tag at its beginning. Send the complete file.');
    if (part !== undefined) head = head.length === 0 ? part : joinBytes(head, part);
    const examined = headBytes(head);
    const complete = part === undefined || head.length >= examined;
    const start = head.subarray(0, examined);
    const format = raw !== undefined && head.length > 0 ? raw : detectFormat(start, complete, tagBytes);
    if (format === undefined) continue;
    bytes.unread(head);
    return { format, head, tagBytes };
  }
}

/** Skips tags, which some programs put before every format, and returns their length. */
async function skipTags(bytes: ByteSource): Promise<number> {
  let tagBytes = 0;
  let part = await bytes.next();
  while (part !== undefined) {
    let left = tagLength(part) ?? 0;
    if (left === 0 || tagBytes + left > TAGS_MAX_BYTES) break;
    tagBytes += left;
    while (part !== undefined && left >= part.length) {
      left -= part.length;
      part = await bytes.next();
    }
    part = part?.subarray(left);
    const next = part !== undefined && part.length < TAG_HEADER_BYTES ? await bytes.next() : undefined;
    if (part !== undefined && next !== undefined) part = joinBytes(part, next);
  }
  if (part !== undefined) bytes.unread(part);
  return tagBytes;
}

function checkRaw(raw: RawAudioFormat): void {
  const { sampleRateHz, channelCount } = raw;
  if (raw.encoding !== 'pcm-s16le' && raw.encoding !== 'pcm-f32le') {
    throw invalid('raw.encoding', `must be pcm-s16le or pcm-f32le, got '${String(raw.encoding)}'`);
  }
  if (!(sampleRateHz >= SAMPLE_RATE_MIN_HZ && sampleRateHz <= SAMPLE_RATE_MAX_HZ) || !Number.isInteger(sampleRateHz)) {
    throw invalid(
      'raw.sample_rate_hz',
      `must be a whole number from ${SAMPLE_RATE_MIN_HZ} to ${SAMPLE_RATE_MAX_HZ}, got ${sampleRateHz}`,
    );
  }
  if (!(channelCount >= 1 && channelCount <= CHANNELS_MAX) || !Number.isInteger(channelCount)) {
    throw invalid('raw.channel_count', `must be a whole number from 1 to ${CHANNELS_MAX}, got ${channelCount}`);
  }
}

function invalid(field: string, rule: string): InferenceError {
  return new InferenceError('INVALID_ARGUMENT', `${field} ${rule}.`, { field });
}

async function untilAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  let onAbort = () => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(cancelled());
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
