import { type FileHandle, open } from 'node:fs/promises';
import { declaredDuration, haveOnlyBlockTimes, RepeatedReads, splitChunks } from '@heimdex/common';
import type { Input } from 'mediabunny';
import { InferenceClientError } from '../errors.js';
import { type ChosenTrack, chooseTrack, type TrackInfo, trackInfoOf } from './choose-track.js';
import {
  type ContainerKind,
  containerKindOf,
  HEAD_BYTES,
  isOfOtherLength,
  transportLayoutOf,
} from './container-kind.js';
import { type Mp4Index, readMp4Index } from './edit-list.js';
import { formatFor, trackAudio } from './track-audio.js';
import { transportAudio } from './transport-audio.js';

type Mediabunny = typeof import('mediabunny');

/** The audio of a video file. */
export interface ExtractedAudio {
  /** Reads the audio from disk in chunks; each call starts at the beginning. */
  readonly chunks: () => AsyncGenerator<Uint8Array, void, void>;
  /** Index of the sent audio track in the file; undefined if all are sent and the server chooses. */
  readonly trackIndex: number | undefined;
  /** Warnings that the server cannot issue. Complete after all chunks are read. */
  readonly warnings: readonly string[];
}

/**
 * An MP4 without video is sent unchanged up to this size. Its index may be at the end, and the server buffers only a
 * limited amount until it arrives.
 */
const MAX_AUDIO_FILE_BYTES = 128 * 1_024 * 1_024;
/** Smaller files without video are sent unchanged. */
const SMALL_FILE_BYTES = 1_024 * 1_024;
const MEASURED_PACKETS = 100;
/** A smaller difference between declared and actual duration is rounding. */
const MIN_MISSING_SECONDS = 0.5;

/**
 * Extracts the audio of a video file on disk. Returns undefined if the file must be sent unchanged: it is not a video, or
 * it is damaged and the server must report how.
 * Throws InferenceClientError INVALID_ARGUMENT for an index out of range.
 *
 * @param requestedTrack index among the audio tracks, from 0
 */
export async function openVideo(path: string, requestedTrack: number | undefined): Promise<ExtractedAudio | undefined> {
  try {
    const video = await inspect(path);
    return video && (await audioOf(path, video, requestedTrack));
  } catch (error) {
    if (error instanceof InferenceClientError) throw error;
    return undefined; // The server reports what is wrong with the file.
  }
}

interface Video {
  readonly kind: ContainerKind;
  readonly head: Uint8Array;
  readonly sizeBytes: number;
  readonly mp4: Mp4Index | undefined;
}

async function inspect(path: string): Promise<Video | undefined> {
  const file = await open(path);
  try {
    const found = await file.stat();
    const head = await headOf(file);
    const kind = containerKindOf(head);
    if (kind === undefined || (kind === 'matroska' && isOfOtherLength(head, found.size))) return undefined;
    const mp4 = kind === 'mp4' ? await readMp4Index(file, found.size) : undefined;
    const unusable = kind === 'mp4' && (mp4 === undefined || mp4.encrypted || mp4.truncated || mp4.continued);
    return unusable ? undefined : { kind, head, sizeBytes: found.size, mp4 };
  } finally {
    await file.close();
  }
}

async function headOf(file: FileHandle): Promise<Uint8Array> {
  const head = new Uint8Array(HEAD_BYTES);
  const { bytesRead } = await file.read(head, 0, HEAD_BYTES, 0);
  return head.subarray(0, bytesRead);
}

async function audioOf(path: string, video: Video, requested: number | undefined): Promise<ExtractedAudio | undefined> {
  if (video.kind === 'mpeg-ts') {
    // The server reads more of them than the library: those of several programs.
    const layout = transportLayoutOf(video.head);
    return layout && { chunks: () => transportAudio(path, layout), trackIndex: undefined, warnings: [] };
  }
  // Loaded on demand: most callers send no video.
  const library = await import('mediabunny');
  // The server reports unsupported content. Keep a log level that the program has set itself.
  if (library.Logging.level === library.LogLevel.Info) library.Logging.level = library.LogLevel.Errors;
  const input = openInput(library, path);
  try {
    const tracks = await input.getTracks();
    const videoTracks = tracks.filter((track) => track.isVideoTrack());
    const audioTracks = await Promise.all((await input.getAudioTracks()).map(trackInfoOf));
    const large = video.kind === 'mp4' && video.sizeBytes > MAX_AUDIO_FILE_BYTES;
    // The library does not list video codecs that it does not know: see isMostlyOther.
    const hasVideo = videoTracks.length > 0 || large;
    if (audioTracks.length === 0) return undefined;
    const chosen = chooseTrack(audioTracks, requested);
    if (chosen !== undefined) splitChunks(chosen.track.input);
    if (!hasVideo && !(await isMostlyOther(chosen, video.sizeBytes))) return undefined;
    if (chosen === undefined || formatFor(chosen.track.codec, library) === undefined) return undefined;
    if ((await chosen.track.input.getDecoderConfig()) === null) return undefined;
    if (video.kind === 'matroska') {
      await chosen.track.input.computePacketStats(MEASURED_PACKETS);
      // An MP4 tells the time of each frame, which here only a decoder knows.
      if (haveOnlyBlockTimes(chosen.track.input)) return undefined;
    }
    return extractTrack(library, path, video, chosen);
  } finally {
    input.dispose();
  }
}

/** Whether most of a file is not the chosen track, but for example an unlisted video track or other languages. */
async function isMostlyOther(chosen: ChosenTrack | undefined, sizeBytes: number): Promise<boolean> {
  if (chosen === undefined || sizeBytes < SMALL_FILE_BYTES) return false;
  const { input } = chosen.track;
  const { averageBitrate } = await input.computePacketStats(MEASURED_PACKETS);
  const seconds = (await declaredDuration(input)) ?? Number.POSITIVE_INFINITY;
  return (averageBitrate / 8) * seconds < sizeBytes / 2;
}

function extractTrack(library: Mediabunny, path: string, video: Video, chosen: ChosenTrack): ExtractedAudio {
  const warnings = [...chosen.warnings];
  const { index } = chosen.track;
  const chunks = async function* (): AsyncGenerator<Uint8Array, void, void> {
    warnings.splice(chosen.warnings.length);
    const input = openInput(library, path);
    try {
      const track = await trackAt(input, index);
      const indexed = video.mp4?.fragmented === false;
      const declared = indexed ? await declaredDuration(track.input) : null;
      const ended = (seconds: number) => {
        const missing = (declared ?? 0) - seconds;
        if (missing > MIN_MISSING_SECONDS)
          warnings.push(`${missing.toFixed(2)} s listed in the MP4 index are missing.`);
      };
      const jumped = (warning: string) => {
        // The server tells of the first one too.
        if (warnings.length === chosen.warnings.length) warnings.push(warning);
      };
      yield* trackAudio(library, track, {
        kind: video.kind,
        edits: video.mp4?.edits.get(track.input.id),
        ended,
        jumped,
      });
    } finally {
      input.dispose();
    }
  };
  return { chunks, trackIndex: index, warnings };
}

async function trackAt(input: Input, index: number): Promise<TrackInfo> {
  const track = (await input.getAudioTracks())[index];
  if (track === undefined) throw new Error('the file changed while it was being read');
  splitChunks(track);
  return trackInfoOf(track, index);
}

function openInput(library: Mediabunny, path: string): Input {
  const { QTFF, MP4, WEBM, MATROSKA } = library;
  const source = new library.FilePathSource(path);
  endSearches(source as unknown as InternalSource);
  return new library.Input({ formats: [MP4, QTFF, WEBM, MATROSKA], source });
}

/** The library's internal source interface, in 1.61. */
interface InternalSource {
  _read(start: number, ...rest: readonly unknown[]): unknown;
}

/** Makes searches of the library that would not end reach the end of the file. */
function endSearches(source: InternalSource): void {
  const repeatedReads = new RepeatedReads();
  const read = source._read.bind(source);
  source._read = (start, ...rest) => (repeatedReads.isStuck(start) ? null : read(start, ...rest));
}
