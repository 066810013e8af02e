// Whisper in this process, with the server's queue and batching.
import { load } from '../../inference/dist/src/models/whisper/model.js';
import { whisperSpec } from '../../inference/dist/src/models/whisper/spec.js';
import { transcribeWithWhisper } from '../../inference/dist/src/models/whisper/transcribe.js';
import { ModelQueue } from '../../inference/dist/src/scheduling/model-queue.js';
import { parseSpeechOptions } from '../../inference/dist/src/services/speech-options.js';
import { CONTEXT, modelFiles, OPTIONS } from '../support/measure.js';
import { RATE, signal } from './audio-files.js';

const ID = 'onnx-community/whisper-base_timestamped';
/** The graphs in `whisperDir`. */
export const WEIGHTS = {
  encoder: 'onnx/encoder_model_quantized.onnx',
  decoder: 'onnx/decoder_model_merged_quantized.onnx',
};
/** The server's settings for speech. */
const BATCH = { maxCost: 120, maxPadding: 1 };

export function whisperDir(shared) {
  return `${shared}/models/${ID}`;
}

/**
 * `transcribe(samples, options)` gives text, segments and how many windows each run had; samples or an opened audio. `weights`:
 * the form of its 8-bit weights, as in LoadOptions. `compiled`: a directory of the compiler's graphs, to be taken instead.
 */
export async function openWhisper(shared, { weights, compiled } = {}) {
  const roles = compiled === undefined ? [] : ['encoder', 'cross', 'decoder'];
  const externalFiles = roles.map((role) => `${compiled}/${role}.onnx_data`);
  const settings = { ...OPTIONS, externalFiles, ...(weights === undefined ? {} : { weights }) };
  const files = modelFiles(ID, whisperDir(shared), WEIGHTS);
  if (compiled !== undefined)
    files.weights = Object.fromEntries(roles.map((role) => [role, `${compiled}/${role}.onnx`]));
  const model = await load(files, settings);
  const { shared: batches, maxItems } = model.facts.batching;
  const modelQueue = new ModelQueue({
    name: 'whisper',
    cost: whisperSpec.cost,
    kind: whisperSpec.kind,
    alone: whisperSpec.alone,
    limits: { maxItems: 1000, maxWaitMs: Number.POSITIVE_INFINITY },
    batch: { ...BATCH, maxItems: batches ? maxItems : 1 },
    now: () => performance.now(),
  });
  let runs = [];
  modelQueue.addExecutor({
    async run(items, signals) {
      runs.push(items.length);
      const startedAt = performance.now();
      const outcomes = await model.run(items, { ...CONTEXT, signals });
      return { outcomes, runMs: performance.now() - startedAt };
    },
  });

  async function transcribe(audio, { wholeWindows = false, ...options } = {}) {
    runs = [];
    const admission = modelQueue.admit({ items: 1, cost: undefined, priority: 'interactive' });
    // A window of 30 s has no silence that is merged.
    const filled = (window) =>
      wholeWindows && window.type === 'decode' ? { ...window, samples: filledUp(window) } : window;
    const submit = async (window, windowSignal) => (await admission.submit(filled(window), windowSignal)).value;
    const settings = { ...parseSpeechOptions(undefined), ...options };
    const source = audio instanceof Float32Array ? sourceOf(audio) : audio;
    const segments = [];
    for await (const event of transcribeWithWhisper(source, settings, submit, signal)) {
      if (event.type === 'segment') segments.push(event.segment);
    }
    admission.close();
    return {
      text: segments
        .map(({ text }) => text)
        .join('')
        .trim(),
      segments,
      runs,
    };
  }

  return { transcribe, close: () => model.close() };
}

function filledUp({ samples }) {
  const all = new Float32Array(30 * RATE);
  all.set(samples);
  return all;
}

function sourceOf(samples) {
  let at = 0;
  return {
    warnings: [],
    async read() {
      if (at >= samples.length) return null;
      at += RATE;
      return samples.slice(at - RATE, at);
    },
    async close() {},
  };
}
