import type { LoadedModel, ModelFiles } from '../../src/models/model.js';
import type { SpeechEvent, SpeechOptions } from '../../src/models/speech/speech.js';
import { load } from '../../src/models/whisper/model.js';
import { transcribeWithWhisper } from '../../src/models/whisper/transcribe.js';
import type { WhisperResult, WhisperWindow } from '../../src/models/whisper/window.js';
import { CONTEXT, inShared, modelFiles, OPTIONS } from './paths.js';
import { voiceWeights } from './silero.js';
import { eventsOf, SPEECH_OPTIONS, sourceOf } from './speech.js';

export const WHISPER_BASE = 'models/onnx-community/whisper-base_timestamped';

export function whisperFiles(): ModelFiles {
  return modelFiles('onnx-community/whisper-base_timestamped', inShared(WHISPER_BASE), {
    encoder: 'onnx/encoder_model_quantized.onnx',
    decoder: 'onnx/decoder_model_merged_quantized.onnx',
  });
}

export type WhisperModel = LoadedModel<WhisperWindow, WhisperResult>;

/** Loads Whisper base, with voice activity. Takes 3 s of processor time. */
export function loadWhisper(): Promise<WhisperModel> {
  const { weights, ...files } = whisperFiles();
  return load({ ...files, weights: { ...weights, vad: voiceWeights() } }, OPTIONS);
}

/** Transcribes an audio file with the model, without a server. */
export function transcribeWith(
  model: WhisperModel,
  samples: Float32Array,
  options: Partial<SpeechOptions> = {},
): Promise<SpeechEvent[]> {
  const submit = async (window: WhisperWindow): Promise<WhisperResult> => {
    const [outcome] = await model.run([window], CONTEXT);
    if (outcome?.ok !== true) throw outcome?.error;
    return outcome.value;
  };
  const signal = new AbortController().signal;
  return eventsOf(transcribeWithWhisper(sourceOf(samples), { ...SPEECH_OPTIONS, ...options }, submit, signal));
}

/** Runs windows in one batch, as in a worker. Throws the first error. */
export async function decodeTogether(
  model: WhisperModel,
  windows: readonly WhisperWindow[],
): Promise<readonly WhisperResult[]> {
  const outcomes = await model.run(windows, { ...CONTEXT, signals: windows.map(() => new AbortController().signal) });
  return outcomes.map((outcome) => {
    if (!outcome.ok) throw outcome.error;
    return outcome.value;
  });
}

/** Deterministic Gaussian noise (Box-Muller). */
export function whiteNoise(seconds: number, amplitude: number, seed = 1): Float32Array {
  let state = seed;
  const next = () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  return Float32Array.from(
    { length: seconds * 16_000 },
    () => amplitude * Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next()),
  );
}
