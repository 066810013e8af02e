import { type FileHandle, open } from 'node:fs/promises';
import type { Input } from 'mediabunny';
import { InferenceClientError } from '../errors.js';
import { type ChosenTrack, chooseTrack, type FilmTrack, filmTrackOf } from './choose-track.js';
import { type Mp4Index, readMp4Index } from './edit-list.js';
import { type FilmKind, filmKindOf, HEAD_BYTES, isCutMatroska, transportLayoutOf } from './film-kind.js';
import { formatFor, trackAudio } from './track-audio.js';
import { transportAudio } from './transport-audio.js';

type Mediabunny = typeof import('mediabunny');

/** The audio of a film. */
export interface FilmAudio {
  /** The audio in chunks, read from the disk; each call begins at the start. */
  readonly chunks: () => AsyncGenerator<Uint8Array, void, void>;
  /** The track that is sent, among the audio tracks of the film; undefined: all are, and the server chooses. */
  readonly trackIndex: number | undefined;
  /** What the server cannot know. Complete once the chunks have been read. */
  readonly warnings: readonly string[];
}

/**
 * MP4 without images is sent as it is, up to this size: its index may come last, and a server holds only so much of a file
 * until it has come.
 */
const AUDIO_FILE_MAX_BYTES = 128 * 1_024 * 1_024;
/** Smaller files without images are not worth a look. */
const SMALL_FILE_BYTES = 1_024 * 1_024;
const MEASURED_PACKETS = 100;
/** Less than this of what an index promises is rounding. */
const MISSING_SECONDS = 0.5;

/**
 * The audio of a film on the disk; undefined: the file is to be sent as it is, because it is no film, or one of which the
 * server has to say what is wrong with it.
 *
 * @param wantedTrack among the audio tracks, from 0
 * @throws InferenceClientError INVALID_ARGUMENT for an index that no audio track has
 */
export async function openFilm(path: string, wantedTrack: number | undefined): Promise<FilmAudio | undefined> {
  try {
    const film = await lookAt(path);
    return film && (await audioOf(path, film, wantedTrack));
  } catch (error) {
    if (error instanceof InferenceClientError) throw error;
    return undefined; // What cannot be read here, the server names.
  }
}

interface Film {
  readonly kind: FilmKind;
  readonly head: Uint8Array;
  readonly sizeBytes: number;
  readonly mp4: Mp4Index | undefined;
}

async function lookAt(path: string): Promise<Film | undefined> {
  const file = await open(path);
  try {
    const found = await file.stat();
    if (!found.isFile()) return undefined;
    const head = await headOf(file);
    const kind = filmKindOf(head);
    if (kind === undefined || (kind === 'matroska' && isCutMatroska(head, found.size))) return undefined;
    const mp4 = kind === 'mp4' ? await readMp4Index(file, found.size) : undefined;
    const unusable = kind === 'mp4' && (mp4 === undefined || mp4.encrypted || mp4.cut);
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

async function audioOf(path: string, film: Film, wanted: number | undefined): Promise<FilmAudio | undefined> {
  // Loaded for films alone: most callers send none.
  const library = await import('mediabunny');
  // What it does not know of a film, the server says. A program that has chosen its own level keeps it.
  if (library.Logging.level === library.LogLevel.Info) library.Logging.level = library.LogLevel.Errors;
  const input = openInput(library, path);
  try {
    const tracks = await input.getTracks();
    const images = tracks.filter((track) => track.isVideoTrack());
    const audioTracks = await Promise.all((await input.getAudioTracks()).map(filmTrackOf));
    const large = film.kind === 'mp4' && film.sizeBytes > AUDIO_FILE_MAX_BYTES;
    // Kinds of images that the library does not know are told by their packets.
    const hasImages = film.kind === 'mpeg-ts' || images.length > 0 || large;
    if (audioTracks.length === 0) return undefined;
    const chosen = chooseTrack(audioTracks, wanted);
    if (!hasImages && !(await isMostlyOther(chosen, film.sizeBytes))) return undefined;
    if (film.kind === 'mpeg-ts') {
      const layout = transportLayoutOf(film.head);
      return layout && { chunks: () => transportAudio(path, layout), trackIndex: undefined, warnings: [] };
    }
    if (chosen === undefined || formatFor(chosen.track.codec, library) === undefined) return undefined;
    if ((await chosen.track.input.getDecoderConfig()) === null) return undefined;
    return trackFilm(library, path, film, chosen);
  } finally {
    input.dispose();
  }
}

/** Whether most of a file is something else than the chosen track: images of a track that is not listed, or other languages. */
async function isMostlyOther(chosen: ChosenTrack | undefined, sizeBytes: number): Promise<boolean> {
  if (chosen === undefined || sizeBytes < SMALL_FILE_BYTES) return false;
  const { input } = chosen.track;
  const { averageBitrate } = await input.computePacketStats(MEASURED_PACKETS);
  const seconds = (await input.getDurationFromMetadata()) ?? Number.POSITIVE_INFINITY;
  return (averageBitrate / 8) * seconds < sizeBytes / 2;
}

function trackFilm(library: Mediabunny, path: string, film: Film, chosen: ChosenTrack): FilmAudio {
  const warnings = [...chosen.warnings];
  const { index } = chosen.track;
  const chunks = async function* (): AsyncGenerator<Uint8Array, void, void> {
    warnings.splice(chosen.warnings.length);
    const input = openInput(library, path);
    try {
      const track = await trackAt(input, index);
      const indexed = film.mp4?.fragmented === false;
      const declared = indexed ? await track.input.getDurationFromMetadata() : null;
      const ended = (seconds: number) => {
        const missing = (declared ?? 0) - seconds;
        if (missing > MISSING_SECONDS) warnings.push(`${missing.toFixed(2)} s listed in the MP4 index are missing.`);
      };
      yield* trackAudio(library, track, { kind: film.kind, edits: film.mp4?.edits.get(track.input.id), ended });
    } finally {
      input.dispose();
    }
  };
  return { chunks, trackIndex: index, warnings };
}

async function trackAt(input: Input, index: number): Promise<FilmTrack> {
  const track = (await input.getAudioTracks())[index];
  if (track === undefined) throw new Error('the film was changed while it was read');
  return filmTrackOf(track, index);
}

function openInput(library: Mediabunny, path: string): Input {
  const { QTFF, MP4, WEBM, MATROSKA, MPEG_TS } = library;
  return new library.Input({ formats: [MP4, QTFF, WEBM, MATROSKA, MPEG_TS], source: new library.FilePathSource(path) });
}
