/** One audio file through the speech model: what Transcribe and TranscribeStream have in common. */
import { create } from '@bufbuild/protobuf';
import { type Segment, SegmentSchema } from '@heimdex/gen';
import { type AudioTrackInfo, openAudio, type RawAudioFormat } from '../media/audio/index.js';
import { TRANSCRIBERS } from '../models/registry.js';
import type { SpeechEvent, SpeechOptions, SpeechSegment, Transcriber } from '../models/speech/speech.js';
import type { Call } from './call.js';
import type { ServedModel, ServiceLimits } from './engine.js';
import type { CallTiming } from './timing.js';

export interface AudioFile {
  readonly content: Uint8Array | AsyncIterable<Uint8Array>;
  readonly raw: RawAudioFormat | undefined;
  /** Which of its audio tracks; undefined: whichever can be decoded. */
  readonly audioTrack: number | undefined;
  readonly options: SpeechOptions;
}

/** What was learned of an audio file beside what is said in it. */
interface AudioNotes {
  readonly warnings: readonly string[];
  readonly audioTrack: AudioTrackInfo | undefined;
}

/** What comes of an audio file; with the summary, what was wrong with it. */
export type AudioEvent =
  | Exclude<SpeechEvent, { readonly type: 'summary' }>
  | (Extract<SpeechEvent, { readonly type: 'summary' }> & AudioNotes);

/** Segments, progress and the summary as they become final. Throws what concerns the audio as a whole. */
export async function* transcribeAudio(
  model: ServedModel,
  limits: ServiceLimits,
  audioFile: AudioFile,
  call: Call,
  timing: CallTiming,
): AsyncGenerator<AudioEvent, void, void> {
  const { priority, deadlineAtMs, signal } = call;
  // It has a window in the queue at a time, or a few of a size, and how long they are nobody knows before the audio is read.
  const admission = model.modelQueue.admit({ items: 1, cost: undefined, priority, deadlineAtMs });
  try {
    const { content, raw, audioTrack, options } = audioFile;
    const source = await openAudio(content, { raw, audioTrack, maxSeconds: limits.maxAudioSeconds, signal });
    try {
      const submit = async (window: unknown, windowSignal: AbortSignal) => {
        const done = await admission.submit(window, windowSignal);
        timing.note(done.run);
        return done.value as never;
      };
      for await (const event of transcriberOf(model)(source, options, submit, signal)) {
        yield event.type === 'summary' ? { ...event, warnings: source.warnings, audioTrack: source.track } : event;
      }
    } finally {
      await source.close();
    }
  } catch (error) {
    // A decoder that was stopped because nobody waits says so in its own words; the call's reason is the true one.
    throw signal.aborted ? signal.reason : error;
  } finally {
    admission.close();
  }
}

function transcriberOf({ family }: ServedModel): Transcriber<unknown, never> {
  const transcriber = TRANSCRIBERS[family];
  if (transcriber === undefined) throw new Error(`${family} is no family of speech models`);
  return transcriber;
}

export function toSegment(segment: SpeechSegment): Segment {
  return create(SegmentSchema, {
    ...segment,
    tokens: [...segment.tokens],
    words: segment.words.map((word) => ({ ...word })),
  });
}
