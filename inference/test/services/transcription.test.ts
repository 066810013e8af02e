import { createReadStream } from 'node:fs';
import { expect } from 'chai';
import { InferenceError } from '../../src/errors.js';
import type { Call } from '../../src/services/call.js';
import type { ServedModel, ServiceLimits } from '../../src/services/engine.js';
import { parseSpeechOptions } from '../../src/services/speech-options.js';
import { CallTiming } from '../../src/services/timing.js';
import { transcribeAudio } from '../../src/services/transcription.js';
import { inRepository } from '../support/paths.js';
import { errorOf } from '../support/rejection.js';

describe('the transcription of a call that is cancelled', () => {
  it('gives its place in the queue back at once, not when its decoder has ended', async () => {
    let places = 0;
    const admit = () => {
      places += 1;
      return { close: () => (places = 0) };
    };
    const model = { family: 'whisper', modelQueue: { admit } } as unknown as ServedModel;
    const caller = new AbortController();
    const stats = {};
    const call = {
      signal: caller.signal,
      priority: 'interactive',
      deadlineAtMs: Number.POSITIVE_INFINITY,
      stats,
    } as Call;
    const content = createReadStream(inRepository('demo/samples/speech/party.flac'));
    const audioFile = { content, raw: undefined, audioTrack: undefined, options: parseSpeechOptions(undefined) };
    const limits = { maxAudioSeconds: 60 } as ServiceLimits;
    const events = transcribeAudio(model, limits, audioFile, call, new CallTiming(call));
    const failed = errorOf(events.next());
    expect(places).to.equal(1);
    caller.abort(new InferenceError('CANCELLED', 'gone'));
    expect(places).to.equal(0);
    expect(await failed).to.have.property('code', 'CANCELLED');
  });
});
