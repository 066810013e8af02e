import { InferenceError } from '../../errors.js';
import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import type { Seat } from '../decoding/company.js';
import { compressionRatio } from '../decoding/compression-ratio.js';
import type { DecoderOutput, EncodedAudio } from '../decoding/merged-decoder.js';
import { seededRandom } from '../decoding/random.js';
import { logSumExp } from '../decoding/scores.js';
import type { SpeechSegment } from '../speech.js';
import { decodeByBeams } from './beams.js';
import type { WhisperConfig } from './config.js';
import type { Encoder } from './encoder.js';
import { type Beginning, decodeGreedily, meanLogProb } from './hypotheses.js';
import { type Attempt, isSilence, isSilenceAfterAll, leastBad, mayHoldNoSpeech, needsAnother } from './judge.js';
import { likeliestLanguage } from './languages.js';
import { type Layout, mergedSilence, WINDOW_SAMPLES } from './length.js';
import { holdsNothing, isSteady } from './loudness.js';
import type { MelExtractor } from './mel.js';
import { encodeText, jobTokens, maxPromptTokens, textBefore } from './prompt.js';
import { TokenRules } from './rules.js';
import { splitAtTimestamps, TIMESTAMP_SAMPLES } from './segments.js';
import type { Vocabulary } from './vocabulary.js';
import type { DecodeResult, DecodeWindow } from './window.js';
import { timeWords } from './word-times.js';
import type { WordedSegment } from './words.js';

/** Everything a window is decoded with. */
export interface WhisperParts {
  readonly config: WhisperConfig;
  readonly vocabulary: Vocabulary;
  readonly mel: MelExtractor;
  readonly encoder: Encoder;
  /** Whether encoder and decoder take rows that stand for several positions. */
  readonly mergesSilence: boolean;
  /** The decoder, perhaps shared with other windows. */
  readonly decoder: Seat;
}

/** What the worker gives a window: a rest between runs, and whether anybody still waits. */
export interface WindowContext {
  readonly signal: AbortSignal | undefined;
  breathe(): Promise<void>;
}

/** Sequences sampled at a temperature above 0; the reference's best_of. */
const SAMPLED_SEQUENCES = 5;

/** Decodes one window. Throws CANCELLED when nobody waits any more. */
export async function decodeWindow(
  parts: WhisperParts,
  window: DecodeWindow,
  context: WindowContext,
): Promise<DecodeResult> {
  if (holdsNothing(window.samples)) return nothingHeard(parts, window);
  const merged = parts.mergesSilence ? mergedSilence(window) : undefined;
  const tokensBefore = promptOf(parts, window);
  const looks = (wish: Partial<Look> = {}) =>
    Opened.open(parts, window, tokensBefore, { layout: undefined, fill: 'silence', ...wish }, context);
  let opened = await looks({ layout: merged });
  const attempts: Attempt[] = [];
  let passed: Attempt | undefined;
  for (const [index, temperature] of window.options.temperatures.entries()) {
    let attempt = await opened.attempt(temperature, index, merged !== undefined && index === 0);
    // What was decoded from merged silence and does not convince is decoded again from all of it.
    if (index === 0 && merged !== undefined && (attempt.doubtful || needsAnother(attempt, window.options))) {
      opened = await looks();
      attempt = await opened.attempt(temperature, index, false);
    }
    // Of music before a silence the model is half sure to hear "like and subscribe"; of music before a hiss it is not. What may
    // be made up must be heard there as well, and where it does not convince what is heard there is what counts from then on.
    if (index === 0 && endsInSilence(window) && mayHoldNoSpeech(attempt, window.options)) {
      const beside = await looks({ fill: 'zeros' });
      const again = await beside.attempt(temperature, index, false);
      if (isSilence(again, window.options) || needsAnother(attempt, window.options)) {
        opened = beside;
        attempt = again;
      }
    }
    attempts.push(attempt);
    if (!needsAnother(attempt, window.options)) {
      passed = attempt;
      break;
    }
  }
  const best = passed ?? leastBad(attempts, window.options);
  const temperature = passed?.temperature ?? window.options.temperatures.at(-1) ?? 0;
  const silent = isSilence(best, window.options) || isSilenceAfterAll(attempts, window.options);
  const split = silent
    ? { segments: [], advanceSamples: window.samples.length, goesOn: false }
    : splitAtTimestamps(best.tokens, parts.vocabulary.special.firstTimestamp, window.samples.length);
  const segments = split.segments.flatMap((segment) => {
    const text = parts.vocabulary.decode(segment.tokens);
    if (segment.startSeconds >= segment.endSeconds || text.trim() === '') return [];
    const textTokens = segment.tokens.filter((token) => parts.vocabulary.isText(token));
    return [{ ...segment, text, textTokens }];
  });
  const worded = window.options.timestamps === 'word' ? await opened.timeWords(segments) : undefined;
  const windowSeconds = window.samples.length / SPEECH_SAMPLE_RATE_HZ;
  const lastWordSeconds = worded?.at(-1)?.words.at(-1)?.endSeconds ?? 0;
  const advanceSamples =
    split.goesOn && lastWordSeconds > 0
      ? Math.min(window.samples.length, Math.round(lastWordSeconds * SPEECH_SAMPLE_RATE_HZ))
      : split.advanceSamples;
  return {
    type: 'decode',
    language: opened.language,
    languageProbability: opened.languageProbability,
    segments: segments.map((segment, id): SpeechSegment => {
      const { startSeconds, endSeconds, words } = worded?.[id] ?? { ...segment, words: [] };
      return {
        id,
        startSeconds,
        endSeconds: Math.min(endSeconds, windowSeconds),
        text: segment.text,
        tokens: segment.textTokens,
        avgLogProb: best.avgLogProb,
        compressionRatio: best.compressionRatio,
        noSpeechProb: best.noSpeechProb,
        temperature: best.temperature,
        words: words.map(({ tokens: _, ...word }) => word),
      };
    }),
    // A window that ends where it began would never end.
    advanceSamples: advanceSamples > 0 ? advanceSamples : window.samples.length,
    tokensBefore,
    tokens: segments.map(({ tokens }) => tokens),
    temperature,
  };
}

/** Silence that is filled up behind a window of less than 30 s changes what is heard in it; 1 s of it hardly does. */
const LEAST_FILLED_SAMPLES = SPEECH_SAMPLE_RATE_HZ;

function endsInSilence({ samples }: DecodeWindow): boolean {
  return samples.length <= WINDOW_SAMPLES - LEAST_FILLED_SAMPLES;
}

/** How a window is given to the encoder. */
interface Look {
  /** Undefined: all positions, one by one. */
  readonly layout: Layout | undefined;
  /** What stands behind its sound. */
  readonly fill: 'silence' | 'zeros';
}

function promptOf(parts: WhisperParts, window: DecodeWindow): readonly number[] {
  if (window.promptText === undefined) return window.promptTokens;
  return encodeText(parts.vocabulary, window.promptText).slice(-maxPromptTokens(parts.config));
}

/** What is answered without a run. */
function nothingHeard(parts: WhisperParts, window: DecodeWindow): DecodeResult {
  return {
    type: 'decode',
    language: window.language,
    languageProbability: window.language === undefined ? 0 : 1,
    segments: [],
    advanceSamples: window.samples.length,
    tokensBefore: promptOf(parts, window),
    tokens: [],
    temperature: window.options.temperatures[0] ?? 0,
  };
}

/** A window after its prompt, ready to be decoded at one temperature after the other. */
class Opened {
  readonly #parts: WhisperParts;
  readonly #window: DecodeWindow;
  readonly #context: WindowContext;
  readonly #audio: EncodedAudio;
  readonly #beginning: Beginning;
  readonly #noSpeechProb: number;
  readonly #rules: TokenRules;
  readonly #steady: boolean;
  readonly language: string;
  readonly languageProbability: number;

  private constructor(
    parts: WhisperParts,
    window: DecodeWindow,
    context: WindowContext,
    audio: EncodedAudio,
    begun: { beginning: Beginning; noSpeechProb: number; language: string; languageProbability: number },
  ) {
    this.#parts = parts;
    this.#window = window;
    this.#context = context;
    this.#audio = audio;
    this.#beginning = begun.beginning;
    this.#noSpeechProb = begun.noSpeechProb;
    this.language = begun.language;
    this.languageProbability = begun.languageProbability;
    this.#steady = isSteady(window.samples);
    this.#rules = new TokenRules({
      special: parts.vocabulary.special,
      suppressed: parts.config.suppressed,
      suppressedFirst: parts.config.suppressedFirst,
      timestamps: window.options.timestamps !== 'none',
      maxInitialTimestampIndex: parts.config.maxInitialTimestampIndex,
      speechEndIndex: window.speechEnd === undefined ? undefined : Math.round(window.speechEnd / TIMESTAMP_SAMPLES),
    });
  }

  /** Encodes the window, finds its language where none is given, and runs the prompt. */
  static async open(
    parts: WhisperParts,
    window: DecodeWindow,
    previousTokens: readonly number[],
    { layout, fill }: Look,
    context: WindowContext,
  ): Promise<Opened> {
    const { config, vocabulary, decoder } = parts;
    const breathe = () => rest(context);
    const samples = window.samples.subarray(0, WINDOW_SAMPLES);
    const audio = await decoder.inTurn(async () => {
      await breathe();
      return parts.encoder.run(await parts.mel.extract(samples, layout?.frames, fill), layout);
    });
    await breathe();

    const start = vocabulary.special.startOfTranscript;
    const before = textBefore(config, vocabulary, window.options.hotwords, previousTokens);
    let language = config.multilingual ? window.language : 'en';
    let languageProbability = 1;
    let output: DecoderOutput | undefined;
    if (language === undefined) {
      output = await decoder.start(audio, [[start]]);
      ({ language, probability: languageProbability } = likeliestLanguage(output.logits(0), config.languages));
      await breathe();
    }
    const job = jobTokens(config, vocabulary, language, window.options);
    if (output !== undefined && before.length === 0) {
      const noSpeechProb = probability(output.logits(0), vocabulary.special.noSpeech);
      for (const token of job) output = await decoder.step(output.state, [token]);
      const beginning = { state: output.state, logits: output.logits(0) };
      return new Opened(parts, window, context, audio, { beginning, noSpeechProb, language, languageProbability });
    }
    const prompt = [...before, start, ...job];
    output = await decoder.start(audio, [prompt], [before.length, prompt.length - 1]);
    return new Opened(parts, window, context, audio, {
      beginning: { state: output.state, logits: output.logits(0, 1) },
      noSpeechProb: probability(output.logits(0, 0), vocabulary.special.noSpeech),
      language,
      languageProbability,
    });
  }

  /** The window's text at one temperature. */
  async attempt(temperature: number, index: number, stopWhenDoubtful: boolean): Promise<Attempt> {
    const { config, vocabulary, decoder } = this.#parts;
    const shared = {
      rules: this.#rules,
      endOfText: vocabulary.special.endOfText,
      maxTokens: Math.min(config.textPositions / 2, config.textPositions - this.#beginning.state.length),
      breathe: () => rest(this.#context),
    };
    const { beamSize, patience, lengthPenalty } = this.#window.options;
    const search = () =>
      temperature === 0 && beamSize > 1
        ? decodeByBeams(decoder, this.#beginning, { ...shared, beamSize, patience, lengthPenalty })
        : decodeGreedily(decoder, this.#beginning, {
            ...shared,
            temperature,
            count: temperature === 0 ? 1 : SAMPLED_SEQUENCES,
            random: seededRandom(this.#window.seed, index),
            differ: stopWhenDoubtful ? (token, rival) => this.#differ(token, rival) : undefined,
          });
    // Several sequences of one window are a batch already.
    const hypothesis = await (temperature === 0 && beamSize === 1 ? search() : decoder.apart(search));
    const text = vocabulary.decode(hypothesis.tokens).trim();
    return {
      tokens: hypothesis.tokens,
      text,
      avgLogProb: meanLogProb(hypothesis),
      noSpeechProb: this.#noSpeechProb,
      compressionRatio: compressionRatio(text),
      temperature,
      steady: this.#steady,
      doubtful: hypothesis.doubtful,
    };
  }

  /** The segments' words with their times. */
  async timeWords(
    segments: readonly { startSeconds: number; endSeconds: number; textTokens: readonly number[] }[],
  ): Promise<readonly WordedSegment[]> {
    await rest(this.#context);
    return timeWords(this.#parts.decoder, this.#parts.config, this.#parts.vocabulary, {
      audio: this.#audio,
      sampleCount: this.#window.samples.length,
      language: this.language,
      options: this.#window.options,
      segments: segments.map(({ textTokens, ...segment }) => ({ ...segment, tokens: textTokens })),
    });
  }

  /** A comma or a capital more or less is no other word; the end of the text is. */
  #differ(token: number, rival: number): boolean {
    const { vocabulary } = this.#parts;
    const words = [token, rival].map((one) =>
      one === vocabulary.special.endOfText ? 'end of text' : vocabulary.plainWord(one),
    );
    return words[0] !== '' && words[1] !== '' && words[0] !== words[1];
  }
}

async function rest(context: WindowContext): Promise<void> {
  await context.breathe();
  if (context.signal?.aborted === true) {
    throw new InferenceError('CANCELLED', 'The call was cancelled while a window was decoded.');
  }
}

function probability(logits: Float32Array, token: number): number {
  return Math.exp((logits[token] ?? Number.NEGATIVE_INFINITY) - logSumExp(logits));
}
