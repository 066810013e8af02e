import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { openPipe } from '@heimdex/common/pipe';
import { InferenceClientError } from '../errors.js';
import type { TranscribeOptions } from '../speech.js';
import { type TranscribeEvent, transcribeStream } from '../speech-stream.js';
import type { Caller } from '../transport/caller.js';
import { type ExtractedAudio, openVideo } from './open-video.js';

/** Calls TranscribeStream with a file, or with only the audio track of a video file. */
export async function* transcribeFile(
  caller: Caller,
  path: string,
  options: TranscribeOptions,
): AsyncGenerator<TranscribeEvent, void, void> {
  const kind = await kindOf(path);
  if (kind !== 'file') {
    // Opened for a look at its format, or for another attempt, it would lose what was written to it.
    let opened: Readable | undefined;
    const once = {
      [Symbol.asyncIterator]() {
        opened = kind === 'pipe' ? openPipe(path) : createReadStream(path);
        return opened[Symbol.asyncIterator]();
      },
    };
    try {
      yield* transcribeStream(caller, once, options);
    } finally {
      opened?.destroy();
    }
    return;
  }
  const video = options.raw === undefined ? await openVideo(path, options.audioTrack) : undefined;
  if (video === undefined) {
    yield* transcribeStream(caller, () => createReadStream(path), options);
    return;
  }
  const { audioTrack, ...others } = options;
  const sent = video.trackIndex === undefined ? options : others;
  let hasSegments = false;
  try {
    for await (const event of transcribeStream(caller, video.chunks, sent)) {
      hasSegments ||= event.type === 'segment';
      yield withTrackIndex(event, video);
    }
    return;
  } catch (error) {
    const unreadable = error instanceof InferenceClientError && error.reason === 'SOURCE_FAILED';
    if (!unreadable || hasSegments) throw error;
  }
  // Damaged, or cannot be remuxed: send the whole file, so that the server reports the reason.
  yield* transcribeStream(caller, () => createReadStream(path), options);
}

async function kindOf(path: string): Promise<'file' | 'pipe' | 'device'> {
  const found = await stat(path).catch(() => undefined); // Reading it says why.
  if (found === undefined || found.isFile()) return 'file';
  return found.isFIFO() ? 'pipe' : 'device';
}

/** Adds the warnings and the track's index in the original file to the summary, since the server saw only one track. */
function withTrackIndex(event: TranscribeEvent, { trackIndex, warnings }: ExtractedAudio): TranscribeEvent {
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
