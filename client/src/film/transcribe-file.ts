import { createReadStream } from 'node:fs';
import { InferenceClientError } from '../errors.js';
import type { TranscribeOptions } from '../speech.js';
import { type TranscribeEvent, transcribeStream } from '../speech-stream.js';
import type { Caller } from '../transport/caller.js';
import { type FilmAudio, openFilm } from './open-film.js';

/** Calls TranscribeStream with a file, of a film with its audio track alone. */
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
  let heard = false;
  try {
    for await (const event of transcribeStream(caller, film.chunks, sent)) {
      heard ||= event.type === 'segment';
      yield ofTheFilm(event, film);
    }
    return;
  } catch (error) {
    const unreadable = error instanceof InferenceClientError && error.reason === 'SOURCE_FAILED';
    if (!unreadable || heard) throw error;
  }
  // Damaged, or of a kind that cannot be written anew: what is wrong with it, the server says.
  yield* transcribeStream(caller, () => createReadStream(path), options);
}

/** The server saw one track: which of the film's it was, and what is to be said of the others, is known here. */
function ofTheFilm(event: TranscribeEvent, { trackIndex, warnings }: FilmAudio): TranscribeEvent {
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
