import { once } from '@heimdex/common';
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { InferenceError } from '../../errors.js';
import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import type { ItemContext } from '../model.js';
import { createSession, sessionOptions } from '../session/open-session.js';
import { STEP_SAMPLES } from './speech-timestamps.js';
import type { VadResult, VadState, VadWindow } from './window.js';

/** Samples of the previous step prepended to each step. */
const CONTEXT_SAMPLES = 64;
const HIDDEN_SHAPE = [2, 1, 128];
const HIDDEN_SIZE = 256;
/** Steps between two yields to the event loop: about 10 ms of work. */
const YIELD_EVERY_STEPS = 64;

/** Loads the detector if its weights are present. Throws when the file is not Silero VAD. */
export async function openDetector(path: string | undefined): Promise<VoiceActivityDetector | undefined> {
  if (path === undefined) return undefined;
  // A step takes 0.1 ms: a round trip to a GPU would take longer, and more threads do not help.
  const session = await createSession(path, sessionOptions({ device: 'cpu', threads: 1 }));
  const missing = ['input', 'state', 'sr'].filter((name) => !session.inputNames.includes(name));
  if (missing.length === 0) return new VoiceActivityDetector(session);
  await session.release();
  throw new Error(`Expected Silero VAD 5 or 6 at ${path}; its graph has no input named ${missing.join(', ')}.`);
}

/** Runs the detector on one window. Throws FEATURE_DISABLED when there is no detector. */
export async function detectVoiceActivity(
  detector: VoiceActivityDetector | undefined,
  window: VadWindow,
  context: ItemContext,
): Promise<VadResult> {
  if (detector === undefined) {
    throw new InferenceError(
      'FEATURE_DISABLED',
      'Voice activity detection is switched off on this server. To use vad_filter, set FEATURE_VAD=true for the downloader and the server, download, and start the server again.',
      { field: 'options.vad_filter' },
    );
  }
  return { type: 'vad', ...(await detector.run(window.samples, window.state, context)) };
}

/** Silero VAD 6: the probability of speech per step. Keeps no state between runs. */
export class VoiceActivityDetector {
  /** Idempotent. */
  readonly close = once(() => this.session.release());

  constructor(private readonly session: InferenceSession) {}

  /** `samples`: 16 kHz mono; the last step is padded with silence. `state`: the state after the previous part. */
  async run(
    samples: Float32Array,
    state: VadState | undefined,
    context: ItemContext,
  ): Promise<{ probabilities: Float32Array; state: VadState }> {
    const probabilities = new Float32Array(Math.ceil(samples.length / STEP_SAMPLES));
    const sr = new Tensor('int64', BigInt64Array.of(BigInt(SPEECH_SAMPLE_RATE_HZ)), []);
    let hidden = new Tensor('float32', state?.hidden.slice() ?? new Float32Array(HIDDEN_SIZE), HIDDEN_SHAPE);
    const input = new Float32Array(CONTEXT_SAMPLES + STEP_SAMPLES);
    if (state !== undefined) input.set(state.context, STEP_SAMPLES);
    for (let step = 0; step < probabilities.length; step += 1) {
      if (step % YIELD_EVERY_STEPS === 0) await context.yieldToEventLoop();
      // The end of this step is the context of the next one.
      input.copyWithin(0, STEP_SAMPLES);
      input.fill(0, CONTEXT_SAMPLES);
      input.set(samples.subarray(step * STEP_SAMPLES, (step + 1) * STEP_SAMPLES), CONTEXT_SAMPLES);
      const { output, stateN } = await this.session.run({
        input: new Tensor('float32', input, [1, input.length]),
        state: hidden,
        sr,
      });
      if (output === undefined || stateN === undefined) throw new Error('Expected outputs named output and stateN.');
      probabilities[step] = (output.data as Float32Array)[0] ?? 0;
      hidden = stateN as typeof hidden;
    }
    const hiddenState = (hidden.data as Float32Array).slice();
    return { probabilities, state: { hidden: hiddenState, context: input.slice(STEP_SAMPLES) } };
  }
}
