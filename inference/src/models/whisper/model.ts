import { once } from '@heimdex/common';
import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import { BatchedDecoder, type DecoderSlot } from '../decoding/batched-decoder.js';
import { CompiledDecoder } from '../decoding/compiled-decoder.js';
import type { Decoder } from '../decoding/decoder.js';
import { MergedDecoder } from '../decoding/merged-decoder.js';
import { WholeDecoder } from '../decoding/whole-decoder.js';
import type { ItemContext, LoadedModel, LoadOptions, ModelFacts, ModelFiles, Outcome, RunContext } from '../model.js';
import { runItem } from '../outcomes.js';
import { weightsOf } from '../repository.js';
import { detectVoiceActivity, openDetector, type VoiceActivityDetector } from '../silero/detector.js';
import { readWhisperConfig, type WhisperConfig } from './config.js';
import { decodeWindow } from './decode.js';
import type { WhisperParts } from './decoding-task.js';
import { Encoder } from './encoder.js';
import { MelExtractor } from './mel.js';
import { assertSupported, checkWordTimes } from './prompt.js';
import { Vocabulary, WhisperTokenizer } from './vocabulary.js';
import type { DecodeWindow, WhisperResult, WhisperWindow } from './window.js';

/**
 * Loads Whisper: weights `encoder` and `decoder`, `cross` for compiled models, and `vad` if present. Throws when a file
 * is missing or of the wrong kind.
 */
export async function load(
  files: ModelFiles,
  options: LoadOptions,
): Promise<LoadedModel<WhisperWindow, WhisperResult>> {
  const { encoder: encoderPath, decoder: decoderPath } = weightsOf(files, 'encoder', 'decoder');
  const { cross, vad } = files.weights;
  const tokenizer = await WhisperTokenizer.open(files.dir);
  const config = await readWhisperConfig(files.dir, tokenizer);
  const vocabulary = new Vocabulary(tokenizer, config);
  const opened: { close(): Promise<void> }[] = [];
  const keep = <T extends { close(): Promise<void> }>(part: T): T => {
    opened.unshift(part);
    return part;
  };
  try {
    const mel = keep(await MelExtractor.open(config.melCount));
    const encoder = keep(await Encoder.open(encoderPath, config.melCount, options));
    const compiledDecoder = options.device === 'cpu' ? CompiledDecoder : WholeDecoder;
    const decoder: Decoder = keep(
      cross === undefined
        ? await MergedDecoder.open(decoderPath, config, options)
        : await compiledDecoder.open({ cross, decoder: decoderPath }, config, options),
    );
    const detector = await openDetector(vad);
    if (detector !== undefined) keep(detector);
    const mergesSilence = encoder.merges && decoder.hasProportionalAttention;
    return new Whisper(files.id, { config, vocabulary, mel, encoder, mergesSilence }, decoder, detector, opened);
  } catch (error) {
    for (const part of opened) await part.close();
    throw error;
  }
}

/** Maximum bytes of cross-attention keys and values, over all windows of a batch. */
const MAX_CACHE_BYTES = 640 * 1024 * 1024;
/** Above this number of windows the cost per token no longer falls. */
const MAX_WINDOWS = 8;

class Whisper implements LoadedModel<WhisperWindow, WhisperResult> {
  readonly close: () => Promise<void>;
  readonly facts: ModelFacts;

  constructor(
    private readonly id: string,
    private readonly parts: Omit<WhisperParts, 'decoder'>,
    private readonly decoder: Decoder,
    private readonly detector: VoiceActivityDetector | undefined,
    opened: readonly { close(): Promise<void> }[],
  ) {
    this.close = once(async () => {
      for (const part of opened) await part.close();
    });
    this.facts = { dimensions: 0, batching: batchingOf(decoder, parts.config) };
  }

  async warmUp(): Promise<void> {
    const enough = new AbortController();
    let yields = 0;
    const yieldToEventLoop = async () => {
      yields += 1;
      if (yields === WARM_UP_YIELDS) enough.abort();
    };
    const outcomes = await this.run([WARM_UP], { signals: [enough.signal], yieldToEventLoop });
    for (const outcome of outcomes) if (!outcome.ok && outcome.error.code !== 'CANCELLED') throw outcome.error;
  }

  async run(items: readonly WhisperWindow[], context: RunContext): Promise<readonly Outcome<WhisperResult>[]> {
    const batchedDecoder = new BatchedDecoder(this.decoder);
    const slots = items.map(() => batchedDecoder.openSlot());
    const settled = await Promise.allSettled(
      slots.map((slot, index) =>
        runItem(context, index, (own) => this.#runOne(items[index] as WhisperWindow, slot, own)).finally(slot.close),
      ),
    );
    return settled.map((one) => {
      if (one.status === 'rejected') throw one.reason;
      return one.value;
    });
  }

  async #runOne(item: WhisperWindow, slot: DecoderSlot, context: ItemContext): Promise<WhisperResult> {
    if (item.type === 'vad') return detectVoiceActivity(this.detector, item, context);
    const { config } = this.parts;
    assertSupported(this.id, config, item.language, item.options);
    checkWordTimes(this.id, config, this.decoder.attentionLayers, item.options);
    return decodeWindow({ ...this.parts, decoder: slot }, item, context);
  }
}

function batchingOf(decoder: Decoder, config: WhisperConfig): ModelFacts['batching'] {
  if (!decoder.batchInvariant) {
    const reason = 'each window is decoded alone: in this export its words would depend on its batch';
    return { shared: false, maxItems: 1, reason };
  }
  const values = config.layerCount * 2 * config.headCount * config.headSize * config.audioPositions;
  const cacheBytes = values * decoder.crossValueBytes;
  const maxItems = Math.max(1, Math.min(MAX_WINDOWS, Math.floor(MAX_CACHE_BYTES / cacheBytes)));
  const reason = 'windows of one length share the runs of the decoder; the words do not depend on the batch';
  return { shared: maxItems > 1, maxItems, reason };
}

/**
 * By then every graph has run: the encoder, the language's detection, the prompt, a step. What follows for a tone, an encoder run of
 * all 30 s to be sure that nothing is said, takes a large model as long again as all of its start.
 */
const WARM_UP_YIELDS = 4;

/** Half a second of a swelling tone (a steady one is skipped as noise): runs every graph and produces few tokens. */
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
    patience: 1,
    lengthPenalty: 1,
    compressionRatioThreshold: 2.4,
    logProbThreshold: -1,
    noSpeechThreshold: 0.6,
    live: false,
  },
  promptTokens: [],
  promptText: undefined,
  speechEnd: undefined,
  lastSpeechSeconds: 0,
  seed: 0,
};
