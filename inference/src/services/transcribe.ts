import { InferenceError } from '../errors.js';
import type { SpeechSegment } from '../models/speech/speech.js';
import { invalid } from './check.js';
import type { Models, RpcHandler, ServiceLimits } from './engine.js';
import { requireModel } from './features.js';
import { toModel } from './identity.js';
import { parseRawAudio, parseSpeechOptions } from './speech-options.js';
import { CallTiming } from './timing.js';
import { type AudioSummary, toSegment, transcribeAudio } from './transcription.js';

/** Transcribe: transcribes a complete audio file. */
export function transcribe(models: Models, limits: ServiceLimits): RpcHandler<'transcribe'> {
  return async (request, call) => {
    const model = requireModel(models, 'speech', 'Transcribe');
    const content = request.audio?.content ?? new Uint8Array();
    if (content.byteLength === 0) {
      const message = 'audio.content is empty: send the bytes of an audio file.';
      throw new InferenceError('AUDIO_UNREADABLE', message, { field: 'audio.content' });
    }
    const raw = parseRawAudio('audio.raw', request.audio?.raw);
    const options = parseSpeechOptions(request.options);
    if (options.live) throw invalid('options.live', 'needs TranscribeStream: Transcribe has no partial results');
    const timing = new CallTiming(call);
    const audioFile = { content, raw, audioTrack: request.options?.audioTrack, options };
    const segments: SpeechSegment[] = [];
    let summary: AudioSummary | undefined;
    for await (const event of transcribeAudio(model, limits, audioFile, call, timing)) {
      if (event.type === 'segment') segments.push(event.segment);
      else if (event.type === 'summary') ({ summary } = event);
    }
    if (summary === undefined) throw new Error('the transcriber ended without a summary');
    call.stats.items = summary.durationSeconds;
    return {
      text: segments
        .map(({ text }) => text)
        .join('')
        .trim(),
      ...summary,
      segments: segments.map(toSegment),
      model: toModel(model),
      timing: timing.finish(),
    };
  };
}
