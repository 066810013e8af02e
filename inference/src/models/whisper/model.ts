import { MergedDecoder } from '../decoding/merged-decoder.js';
import type { LoadedModel, LoadOptions, ModelFacts, ModelFiles, Outcome, RunContext } from '../model.js';
import { failed, UNCANCELLED } from '../outcomes.js';
import { detectVoice, openDetector, type VoiceDetector } from '../silero/detector.js';
import { SPEECH_SAMPLE_RATE_HZ } from '../speech.js';
import { readWhisperConfig } from './config.js';
import { decodeWindow, type WhisperParts } from './decode.js';
import { Encoder } from './encoder.js';
import { MelExtractor } from './mel.js';
import { checkWishes, checkWordTimes } from './prompt.js';
import { Vocabulary } from './vocabulary.js';
import type { DecodeWindow, WhisperResult, WhisperWindow } from './window.js';

/** Loads Whisper: weights `encoder` and `decoder`, and `vad` where it is there. Throws when a file is missing or of another kind. */
export async function load(
  files: ModelFiles,
  options: LoadOptions,
): Promise<LoadedModel<WhisperWindow, WhisperResult>> {
  const { encoder: encoderPath, decoder: decoderPath, vad } = files.weights;
  if (encoderPath === undefined || decoderPath === undefined) {
    throw new Error(`Expected ${files.id} to have weights named encoder and decoder.`);
  }
  const config = await readWhisperConfig(files.folder);
  const vocabulary = await Vocabulary.open(files.folder, config);
  const opened: { close(): Promise<void> }[] = [];
  const keep = <T extends { close(): Promise<void> }>(part: T): T => {
    opened.unshift(part);
    return part;
  };
  try {
    const mel = keep(await MelExtractor.open(config.melCount, options));
    const encoder = keep(await Encoder.open(encoderPath, config.melCount, options));
    const decoder = keep(await MergedDecoder.open(decoderPath, config, options));
    const detector = await openDetector(vad);
    if (detector !== undefined) keep(detector);
    return new Whisper(files.id, { config, vocabulary, mel, encoder, decoder }, detector, opened);
  } catch (error) {
    for (const part of opened) await part.close();
    throw error;
  }
}

class Whisper implements LoadedModel<WhisperWindow, WhisperResult> {
  readonly #id: string;
  readonly #parts: WhisperParts;
  readonly #detector: VoiceDetector | undefined;
  #opened: readonly { close(): Promise<void> }[];
  readonly facts: ModelFacts = {
    dimensions: 0,
    batching: {
      shared: false,
      maxItems: 1,
      reason: 'each window is decoded alone, so that its words never depend on its company',
    },
  };

  constructor(
    id: string,
    parts: WhisperParts,
    detector: VoiceDetector | undefined,
    opened: readonly { close(): Promise<void> }[],
  ) {
    this.#id = id;
    this.#parts = parts;
    this.#detector = detector;
    this.#opened = opened;
  }

  async warmUp(): Promise<void> {
    const outcomes = await this.run([WARM_UP], UNCANCELLED);
    for (const outcome of outcomes) if (!outcome.ok) throw outcome.error;
  }

  async run(items: readonly WhisperWindow[], context: RunContext): Promise<readonly Outcome<WhisperResult>[]> {
    const outcomes: Outcome<WhisperResult>[] = [];
    for (const [index, item] of items.entries()) {
      outcomes.push(await this.#runOne(item, { signal: context.signals[index], breathe: () => context.breathe() }));
    }
    return outcomes;
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    this.#opened = [];
    for (const part of opened) await part.close();
  }

  async #runOne(item: WhisperWindow, context: Parameters<typeof decodeWindow>[2]): Promise<Outcome<WhisperResult>> {
    try {
      if (item.type === 'voice') return { ok: true, value: await detectVoice(this.#detector, item, context) };
      const { config, decoder } = this.#parts;
      checkWishes(this.#id, config, item.language, item.options);
      checkWordTimes(this.#id, config, decoder.attentionLayers, item.options);
      return { ok: true, value: await decodeWindow(this.#parts, item, context) };
    } catch (error) {
      return failed(error);
    }
  }
}

/** Half a second of a tone that swells, for a steady one is not even looked at: every graph runs, and few tokens come. */
const WARM_UP: DecodeWindow = {
  type: 'decode',
  samples: Float32Array.from({ length: SPEECH_SAMPLE_RATE_HZ / 2 }, (_, i) => 2e-5 * i * Math.sin(i / 5)),
  language: undefined,
  options: {
    task: 'transcribe',
    timestamps: 'segment',
    hotwords: undefined,
    temperatures: [0],
    beamSize: 1,
    compressionRatioThreshold: 2.4,
    logProbThreshold: -1,
    noSpeechThreshold: 0.6,
  },
  promptTokens: [],
  promptText: undefined,
  seed: 0,
};
