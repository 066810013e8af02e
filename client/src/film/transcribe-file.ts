import { createReadStream } from 'node:fs';
import { InferenceClientError } from '../errors.js';
import type { TranscribeOptions } from '../speech.js';
import { type TranscribeEvent, transcribeStream } from '../speech-stream.js';
import type { Caller } from '../transport/caller.js';
import { type FilmAudio, openFilm } from './open-film.js';

/** Calls TranscribeStream with a file, or with only the audio track of a video file. */
export async function* transcribeFile(
  caller: Caller,
  path: string,
  options: TranscribeOptions,
): AsyncGenerator<TranscribeEvent, void, void> {
  const film = options.raw === undefined ? await openFilm(path, options.audioTrack) : undefined;
  if (film === undefined) {
    yield* transcribeStream(caller, () => createReadStream(path), options);
    return;
  }
  const { audioTrack, ...others } = options;
  const sent = film.trackIndex === undefined ? options : others;
  let hasSegments = false;
  try {
    for await (const event of transcribeStream(caller, film.chunks, sent)) {
      hasSegments ||= event.type === 'segment';
      yield withFilmTrack(event, film);
    }
    return;
  } catch (error) {
    const unreadable = error instanceof InferenceClientError && error.reason === 'SOURCE_FAILED';
    if (!unreadable || hasSegments) throw error;
  }
  // Damaged, or cannot be remuxed: send the whole file, so that the server reports the reason.
  yield* transcribeStream(caller, () => createReadStream(path), options);
}

/** Adds the warnings and the track's index in the original file to the summary, since the server saw only one track. */
function withFilmTrack(event: TranscribeEvent, { trackIndex, warnings }: FilmAudio): TranscribeEvent {
  if (event.type !== 'summary' || trackIndex === undefined) return event;
  const { summary } = event;
  const { audioTrack } = summary;
  return {
    type: 'summary',
    summary: {
      ...summary,
      warnings: [...warnings, ...summary.warnings],
      ...(audioTrack !== undefined && { audioTrack: { ...audioTrack, index: trackIndex } }),
    },
  };
}
