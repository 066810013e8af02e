import type { ISOFile, Movie, MP4BoxBuffer, Track } from 'mp4box';
import { InferenceError } from '../../../errors.js';
import { AAC_FRAME_MAX_BYTES, AacSegments, parseAacConfig } from './aac.js';
import type { DecodedBlock, Decoder } from './decoder.js';
import { trimToEdit } from './mp4-edit.js';

const PIECE_BYTES = 65_536;
/** An index at the end of a file makes it necessary to hold the file; this is four hours of 128 kbit/s. */
const CONTENT_MAX_BYTES = 256 * 1_024 * 1_024;
/** The first segment is short so that the reader can begin. */
const FIRST_SEGMENT_FRAMES = 200;
const SEGMENT_FRAMES = 1_300;
const TAG_DECODER_CONFIG = 4;
const TAG_DECODER_SPECIFIC = 5;

interface AacTrack {
  readonly id: number;
  readonly segments: AacSegments;
  /** Cuts what the edit list leaves out. */
  readonly trim: (block: DecodedBlock) => DecodedBlock;
}

/** AAC in MP4, M4A, MOV or fragments of them: mp4box takes the container apart, FFmpeg decodes. */
export class Mp4Decoder implements Decoder {
  readonly pieceBytes = PIECE_BYTES;
  readonly finished = false;
  readonly warnings: string[] = [];
  #declaredSeconds: number | undefined;
  #movie: Movie | undefined;
  #parseError: string | undefined;
  #track: AacTrack | undefined;
  #frames: Uint8Array[] = [];
  #segmentFrames = FIRST_SEGMENT_FRAMES;
  #nextSample = 0;
  #offset = 0;
  #ended = false;

  private constructor(
    private readonly file: ISOFile,
    private readonly bufferOf: (bytes: ArrayBuffer, fileStart: number) => MP4BoxBuffer,
  ) {
    file.onReady = (movie) => {
      this.#movie = movie;
    };
    file.onError = (_module, message) => {
      this.#parseError = message;
    };
  }

  static async create(): Promise<Mp4Decoder> {
    const { createFile, MP4BoxBuffer: Buffer } = await import('mp4box');
    return new Mp4Decoder(createFile(true), (bytes, fileStart) => Buffer.fromArrayBuffer(bytes, fileStart));
  }

  get declaredSeconds(): number | undefined {
    return this.#declaredSeconds;
  }

  get hasMore(): boolean {
    return this.#frames.length >= (this.#ended ? 1 : this.#segmentFrames);
  }

  async push(piece: Uint8Array): Promise<readonly DecodedBlock[]> {
    const start = this.#offset;
    this.#offset += piece.length;
    if (this.#offset > CONTENT_MAX_BYTES) {
      throw unreadable(
        `it is larger than ${CONTENT_MAX_BYTES / 1_048_576} MiB. Send the audio alone, or as FLAC or Opus`,
      );
    }
    this.file.appendBuffer(this.bufferOf(piece.slice().buffer, start));
    if (this.#movie !== undefined && this.#track === undefined) this.#track = await this.#openTrack(this.#movie);
    this.#gather();
    return [];
  }

  async finish(): Promise<readonly DecodedBlock[]> {
    this.#ended = true;
    if (this.#track === undefined) {
      throw unreadable('its index (moov) is missing or damaged. Send the whole file', this.#parseError);
    }
    this.#gather();
    return [];
  }

  /** Decodes one segment. */
  async more(): Promise<readonly DecodedBlock[]> {
    const track = this.#track;
    if (track === undefined) return [];
    const frames = this.#frames.splice(0, this.#segmentFrames);
    this.#segmentFrames = SEGMENT_FRAMES;
    const block = track.trim(await track.segments.decode(frames));
    this.#gather();
    if (this.#ended && this.#frames.length === 0) this.#sumUp(track);
    return [block];
  }

  close(): void {
    this.#frames = [];
    this.file.stop();
  }

  /** Takes frames out of the container, no more than one segment needs. */
  #gather(): void {
    const track = this.#track;
    if (track === undefined) return;
    const samples = this.file.getTrackSamplesInfo(track.id);
    while (this.#frames.length < this.#segmentFrames && this.#nextSample < samples.length) {
      const size = samples[this.#nextSample]?.size ?? 0;
      if (size > AAC_FRAME_MAX_BYTES) throw unreadable(`one of its AAC frames has ${size} bytes, which no frame has`);
      const data = this.file.getTrackSample(track.id, this.#nextSample)?.data;
      if (data === undefined) return;
      this.#frames.push(data.slice());
      this.file.releaseUsedSamples(track.id, this.#nextSample);
      this.#nextSample++;
    }
  }

  async #openTrack(movie: Movie): Promise<AacTrack> {
    const track = movie.audioTracks[0];
    if (track === undefined) throw unreadable('it has no audio track');
    const config = this.#specificConfig(track.id);
    if (!track.codec.startsWith('mp4a') || config === undefined) {
      throw unreadable(`its audio is ${track.codec}; of MP4 only AAC is decoded`);
    }
    if (track.nb_samples > 0) this.#declaredSeconds = track.samples_duration / track.timescale;
    return {
      id: track.id,
      segments: await AacSegments.create(parseAacConfig(config)),
      trim: trimToEdit(editOf(track)),
    };
  }

  #specificConfig(trackId: number): Uint8Array | undefined {
    const entry = this.file.getTrackById(trackId)?.mdia?.minf?.stbl?.stsd?.entries[0];
    if (entry === undefined || !('esds' in entry)) return undefined;
    const esds = entry.esds as { esd?: { findDescriptor(tag: number): unknown } } | undefined;
    const decoderConfig = esds?.esd?.findDescriptor(TAG_DECODER_CONFIG) as
      | { findDescriptor(tag: number): { data?: Uint8Array } | null }
      | null
      | undefined;
    return decoderConfig?.findDescriptor(TAG_DECODER_SPECIFIC)?.data;
  }

  #sumUp(track: AacTrack): void {
    const missing = this.file.getTrackSamplesInfo(track.id).length - this.#nextSample;
    if (missing > 0) this.warnings.push(`${missing} AAC frames that the MP4 index names did not come.`);
    const lost = track.segments.lostFrames;
    if (lost > 0) this.warnings.push(`${lost} damaged AAC frames were replaced by silence.`);
  }
}

/** The one edit of a recording as encoders write it: where to begin, in seconds, and for how long. */
function editOf(track: Track): { startSeconds: number; seconds: number | undefined } {
  const edit = track.edits?.find((entry) => entry.media_time >= 0);
  if (edit === undefined || track.timescale <= 0) return { startSeconds: 0, seconds: undefined };
  const seconds = edit.segment_duration / track.movie_timescale;
  const single = track.edits?.filter((entry) => entry.media_time >= 0).length === 1;
  return {
    startSeconds: edit.media_time / track.timescale,
    seconds: single && seconds > 0 && Number.isFinite(seconds) ? seconds : undefined,
  };
}

function unreadable(reason: string, cause?: unknown): InferenceError {
  return new InferenceError('AUDIO_UNREADABLE', `The MP4 file cannot be used: ${reason}.`, { cause });
}
