/** Transcribes an audio file with the speech model; shared by Transcribe and TranscribeStream. */
import { create } from '@bufbuild/protobuf';
import { type Segment, SegmentSchema } from '@heimdex/gen';
import { type AudioTrackInfo, openAudio, type RawAudioFormat } from '../media/audio/index.js';
import type { PcmSource } from '../media/audio/pcm.js';
import { TRANSCRIBERS } from '../models/registry.js';
import type { SpeechEvent, SpeechOptions, SpeechSegment, SpeechSummary, Transcriber } from '../models/speech/speech.js';
import type { Call } from './call.js';
import type { ServedModel, ServiceLimits } from './engine.js';
import { roundSpan, roundTime } from './rounding.js';
import type { CallTiming } from './timing.js';

export interface AudioFile {
  readonly content: Uint8Array | AsyncIterable<Uint8Array>;
  readonly raw: RawAudioFormat | undefined;
  /** Index of the audio track; undefined: the first one that can be decoded. */
  readonly audioTrack: number | undefined;
  readonly options: SpeechOptions;
}

/** A summary with the facts of the audio file besides its transcript. */
export type AudioSummary = SpeechSummary & { readonly warnings: string[]; readonly audioTrack?: AudioTrackInfo };

/** Yields segments, progress and the summary as they become final. Throws errors of the audio as a whole. */
export async function* transcribeAudio(
  model: ServedModel,
  limits: ServiceLimits,
  audioFile: AudioFile,
  call: Call,
  timing: CallTiming,
): AsyncGenerator<SpeechEvent<AudioSummary>, void, void> {
  const { priority, deadlineAtMs, signal } = call;
  // One window at a time is queued, or a few of one size. Their length is unknown until the audio is decoded.
  const admission = model.modelQueue.admit({ items: 1, cost: undefined, priority, deadlineAtMs });
  // At once: its decoder may take longer to end, in which time others would be refused for work that nobody waits for.
  signal.addEventListener('abort', admission.close, { once: true });
  try {
    const { content, raw, audioTrack, options } = audioFile;
    const source = await openAudio(content, { raw, audioTrack, maxSeconds: limits.maxAudioSeconds, signal, priority });
    try {
      const submit = async (window: unknown, windowSignal: AbortSignal) => {
        const done = await admission.submit(window, windowSignal);
        timing.record(done.run);
        return done.value as never;
      };
      for await (const event of transcriberOf(model)(source, options, submit, signal)) {
        yield event.type === 'summary' ? { ...event, summary: toAudioSummary(event.summary, source, options) } : event;
      }
    } finally {
      await source.close();
    }
  } catch (error) {
    // A decoder stopped by the abort throws its own error; the signal's reason is the actual cause.
    throw signal.aborted ? signal.reason : error;
  } finally {
    admission.close();
  }
}

function transcriberOf({ family }: ServedModel): Transcriber<unknown, never> {
  const transcriber = TRANSCRIBERS[family];
  if (transcriber === undefined) throw new Error(`${family} is not a speech model family`);
  return transcriber;
}

export function toSegment(segment: SpeechSegment): Segment {
  return create(SegmentSchema, {
    ...roundSpan(segment),
    tokens: [...segment.tokens],
    words: segment.words.map(roundSpan),
  });
}

function toAudioSummary(
  summary: SpeechSummary,
  { warnings, track }: PcmSource,
  { clipStartSeconds }: SpeechOptions,
): AudioSummary {
  const seconds = roundTime(summary.durationSeconds);
  const isBeyond = clipStartSeconds > 0 && clipStartSeconds >= summary.durationSeconds;
  const beyond = `options.clip_start_seconds is beyond the audio's end: got ${clipStartSeconds}, it has ${seconds} s.`;
  return {
    ...summary,
    durationSeconds: seconds,
    speechSeconds: roundTime(summary.speechSeconds),
    warnings: [...warnings, ...(isBeyond ? [beyond] : [])],
    ...(track === undefined ? {} : { audioTrack: track }),
  };
}
