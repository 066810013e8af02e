import type { DecoderSlot } from '../decoding/batched-decoder.js';
import { compressionRatio } from '../decoding/compression-ratio.js';
import type { DecoderOutput, EncodedAudio } from '../decoding/decoder.js';
import { seededRandom } from '../decoding/random.js';
import { logSumExp } from '../decoding/scores.js';
import type { ItemContext } from '../model.js';
import type { DetectedLanguage } from '../speech/transcript.js';
import { beamSearch } from './beam-search.js';
import type { WhisperConfig } from './config.js';
import type { Encoder } from './encoder.js';
import { type DecodingResult, isEndOf } from './fallback.js';
import { type Beginning, greedySearch, meanLogProb } from './greedy-search.js';
import { likeliestLanguage } from './languages.js';
import { type Layout, WINDOW_SAMPLES } from './length.js';
import { LogitsProcessors } from './logits-processors.js';
import { isSteady } from './loudness.js';
import type { MelExtractor } from './mel.js';
import { sotSequence, textBefore } from './prompt.js';
import { TIMESTAMP_SAMPLES } from './segments.js';
import type { Vocabulary } from './vocabulary.js';
import type { DecodeWindow } from './window.js';
import { timeWords } from './word-times.js';
import type { WordedSegment } from './words.js';

/** The model parts needed to decode a window. */
export interface WhisperParts {
  readonly config: WhisperConfig;
  readonly vocabulary: Vocabulary;
  readonly mel: MelExtractor;
  readonly encoder: Encoder;
  /** Whether encoder and decoder accept rows that represent several positions. */
  readonly mergesSilence: boolean;
  /** The decoder, possibly shared with other windows. */
  readonly decoder: DecoderSlot;
}

/** Sequences sampled at temperatures above 0; best_of in the reference. */
const SAMPLED_SEQUENCES = 5;

/** Positions of a run that times words, besides their tokens: the four before a text without timestamps, and its end. */
const AROUND_TEXT = 5;

/** How a window is presented to the encoder. */
export interface EncoderInput {
  /** Undefined: all positions, unmerged. */
  readonly layout: Layout | undefined;
  /** Padding after the sound. */
  readonly fill: 'silence' | 'zeros';
}

/** What the run of the prompt gave. */
interface PromptResult extends Beginning, DetectedLanguage {
  readonly noSpeechProb: number;
  readonly language: string;
}

/** A window whose prompt has run, ready to be decoded at one temperature after another. */
export class DecodingTask {
  readonly #processors: LogitsProcessors;
  readonly #steady: boolean;
  readonly #textBefore: string;

  private constructor(
    private readonly parts: WhisperParts,
    private readonly window: DecodeWindow,
    private readonly context: ItemContext,
    private readonly audio: EncodedAudio,
    previousTokens: readonly number[],
    private readonly prompted: PromptResult,
  ) {
    this.#steady = isSteady(window.samples);
    this.#textBefore = parts.vocabulary.decode(previousTokens);
    this.#processors = new LogitsProcessors({
      special: parts.vocabulary.special,
      isText: (token) => parts.vocabulary.isText(token),
      suppressed: parts.config.suppressed,
      suppressedFirst: parts.config.suppressedFirst,
      timestamps: window.options.timestamps !== 'none',
      maxInitialTimestampIndex: parts.config.maxInitialTimestampIndex,
      speechEndIndex: window.speechEnd === undefined ? undefined : Math.round(window.speechEnd / TIMESTAMP_SAMPLES),
    });
  }

  get detected(): DetectedLanguage {
    return this.prompted;
  }

  /** Encodes the window, detects its language if none is given, and runs the prompt. */
  static async open(
    parts: WhisperParts,
    window: DecodeWindow,
    previousTokens: readonly number[],
    { layout, fill }: EncoderInput,
    context: ItemContext,
  ): Promise<DecodingTask> {
    const { config, vocabulary, decoder } = parts;
    const samples = window.samples.subarray(0, WINDOW_SAMPLES);
    const audio = await decoder.inTurn(async () => {
      await context.yieldToEventLoop();
      return parts.encoder.run(await parts.mel.extract(samples, layout?.frames, fill), layout);
    });
    await context.yieldToEventLoop();

    const start = vocabulary.special.startOfTranscript;
    const before = textBefore(config, vocabulary, window.options.hotwords, previousTokens);
    let language = config.multilingual ? window.language : 'en';
    let languageProbability = 1;
    let output: DecoderOutput | undefined;
    if (language === undefined) {
      output = await decoder.start(audio, [[start]]);
      ({ language, probability: languageProbability } = likeliestLanguage(output.logits(0), config.languages));
      await context.yieldToEventLoop();
    }
    const job = sotSequence(config, vocabulary, language, window.options);
    if (output !== undefined && before.length === 0) {
      const noSpeechProb = probability(output.logits(0), vocabulary.special.noSpeech);
      for (const token of job) output = await decoder.step(output.state, [token]);
      const prompted = { state: output.state, logits: output.logits(0), noSpeechProb, language, languageProbability };
      return new DecodingTask(parts, window, context, audio, previousTokens, prompted);
    }
    const prompt = [...before, start, ...job];
    output = await decoder.start(audio, [prompt], [before.length, prompt.length - 1]);
    return new DecodingTask(parts, window, context, audio, previousTokens, {
      state: output.state,
      logits: output.logits(0, 1),
      noSpeechProb: probability(output.logits(0, 0), vocabulary.special.noSpeech),
      language,
      languageProbability,
    });
  }

  /** Decodes the window at one temperature. */
  async decode(temperature: number, index: number, stopWhenDoubtful: boolean): Promise<DecodingResult> {
    const { config, vocabulary, decoder } = this.parts;
    const { beamSize, patience, lengthPenalty, compressionRatioThreshold } = this.window.options;
    const half = config.textPositions / 2;
    const ratioOf = (tokens: readonly number[]) => compressionRatio(vocabulary.decode(tokens).trim());
    const shared = {
      processors: this.#processors,
      endOfText: vocabulary.special.endOfText,
      maxTokens: config.textPositions - Math.max(AROUND_TEXT, this.prompted.state.length),
      // The reference ends every text here, which is 20 s of a script with a token for each letter, such as Hindi or Thai.
      repeats: (tokens: readonly number[]) => tokens.length === half && ratioOf(tokens) > compressionRatioThreshold,
      yieldToEventLoop: () => this.context.yieldToEventLoop(),
    };
    const search = () =>
      temperature === 0 && beamSize > 1
        ? beamSearch(decoder, this.prompted, { ...shared, beamSize, patience, lengthPenalty })
        : greedySearch(decoder, this.prompted, {
            ...shared,
            temperature,
            count: temperature === 0 ? 1 : SAMPLED_SEQUENCES,
            random: seededRandom(this.window.seed, index),
            differ: stopWhenDoubtful ? (token, rival) => this.#differ(token, rival) : undefined,
          });
    // Several sequences of one window already form a batch.
    const hypothesis = await (temperature === 0 && beamSize === 1 ? search() : decoder.apart(search));
    const text = vocabulary.decode(hypothesis.tokens).trim();
    return {
      tokens: hypothesis.tokens,
      avgLogProb: meanLogProb(hypothesis),
      noSpeechProb: this.prompted.noSpeechProb,
      // The ratio grows with a text's length, and its threshold is meant for one half.
      compressionRatio: Math.max(ratioOf(hypothesis.tokens.slice(0, half)), ratioOf(hypothesis.tokens.slice(half))),
      temperature,
      steady: this.#steady,
      echoes: isEndOf(text, this.#textBefore),
      doubtful: hypothesis.doubtful ?? false,
    };
  }

  /** Returns the segments' words with their times. */
  async timeWords(
    segments: readonly { startSeconds: number; endSeconds: number; textTokens: readonly number[] }[],
  ): Promise<readonly WordedSegment[]> {
    await this.context.yieldToEventLoop();
    return timeWords(this.parts.decoder, this.parts.config, this.parts.vocabulary, {
      audio: this.audio,
      sampleCount: this.window.samples.length,
      lastSpeechSeconds: this.window.lastSpeechSeconds,
      language: this.prompted.language,
      options: this.window.options,
      segments: segments.map(({ textTokens, ...segment }) => ({ ...segment, tokens: textTokens })),
    });
  }

  /** A difference in punctuation or case is not another word; the end of the text is. */
  #differ(token: number, rival: number): boolean {
    const { vocabulary } = this.parts;
    const words = [token, rival].map((one) =>
      one === vocabulary.special.endOfText ? 'end of text' : vocabulary.plainWord(one),
    );
    return words[0] !== '' && words[1] !== '' && words[0] !== words[1];
  }
}

function probability(logits: Float32Array, token: number): number {
  return Math.exp((logits[token] ?? Number.NEGATIVE_INFINITY) - logSumExp(logits));
}
