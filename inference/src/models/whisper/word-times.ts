import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import type { Decoder, EncodedAudio } from '../decoding/decoder.js';
import { logSumExp } from '../decoding/scores.js';
import { alignRows } from './align.js';
import type { WhisperConfig } from './config.js';
import { POSITION_SAMPLES } from './length.js';
import { sotSequence } from './prompt.js';
import type { Vocabulary } from './vocabulary.js';
import type { DecodeOptions } from './window.js';
import {
  medianWordSeconds,
  mergePunctuation,
  settleEnds,
  splitWords,
  type TimedWord,
  trimAtSentences,
  type WordedSegment,
} from './words.js';

const POSITION_SECONDS = POSITION_SAMPLES / SPEECH_SAMPLE_RATE_HZ;

/** A decoded window whose words are to be aligned. */
export interface WindowToAlign {
  /** The encoder's output. */
  readonly audio: EncodedAudio;
  readonly sampleCount: number;
  /** End of the last word before the window, in seconds from its start: 0 or less. */
  readonly lastSpeechSeconds: number;
  readonly language: string;
  readonly options: Pick<DecodeOptions, 'task'>;
  /** Times from the window's start; text tokens only. */
  readonly segments: readonly {
    readonly startSeconds: number;
    readonly endSeconds: number;
    readonly tokens: readonly number[];
  }[];
}

/**
 * Aligns the words of a window's segments with time: one decoder run over the whole text returns the attentions of the
 * alignment heads. The model must export them (`attentionLayers`). Source: add_word_timestamps of faster-whisper.
 */
export async function timeWords(
  decoder: Pick<Decoder, 'start'>,
  config: WhisperConfig,
  vocabulary: Vocabulary,
  window: WindowToAlign,
): Promise<readonly WordedSegment[]> {
  const text = window.segments.flatMap(({ tokens }) => tokens);
  if (text.length === 0) return window.segments.map((segment) => ({ ...segment, words: [] }));
  const aligned = await alignText(decoder, config, vocabulary, window, text);
  const median = medianWordSeconds(aligned);
  const words = mergePunctuation(trimAtSentences(aligned, 2 * median));
  let next = 0;
  let { lastSpeechSeconds } = window;
  return window.segments.map((segment) => {
    const own: TimedWord[] = [];
    for (let taken = 0; taken < segment.tokens.length && next < words.length; next++) {
      const word = words[next];
      if (word === undefined) break;
      own.push(word);
      taken += word.tokens.length;
    }
    const settled = settleEnds(segment, own, median, lastSpeechSeconds);
    lastSpeechSeconds = settled.endSeconds;
    return settled;
  });
}

async function alignText(
  decoder: Pick<Decoder, 'start'>,
  config: WhisperConfig,
  vocabulary: Vocabulary,
  window: WindowToAlign,
  text: readonly number[],
): Promise<readonly TimedWord[]> {
  const { special } = vocabulary;
  const job = sotSequence(config, vocabulary, window.language, { task: window.options.task, timestamps: 'none' });
  const prompt = [special.startOfTranscript, ...job, ...text, special.endOfText];
  // The row of the last start-of-transcript token, "no timestamps", marks where the text begins.
  const firstRow = job.length;
  const positions = text.map((_, index) => firstRow + index);
  const layers = [...new Set(config.alignmentHeads.map(([layer]) => layer))];
  const output = await decoder.start(window.audio, [prompt], positions, layers);
  const audioPositions = Math.max(
    1,
    Math.min(output.state.audioPositions, Math.ceil(window.sampleCount / POSITION_SAMPLES)),
  );
  const entered = alignRows(output.attentions, config.alignmentHeads, audioPositions, firstRow, prompt.length - 1);
  const probabilities = text.map((token, index) => {
    const logits = output.logits(0, index);
    const own = logits[token] ?? Number.NEGATIVE_INFINITY;
    const words = logSumExp(logits, 0, special.endOfText);
    // A word that a fine-tune has added is not among them.
    return Math.exp(own - (token < special.endOfText ? words : words + Math.log1p(Math.exp(own - words))));
  });
  const seconds = (row: number) => (entered[row] ?? audioPositions) * POSITION_SECONDS;
  let at = 0;
  // A translation is English, and has spaces, whatever was spoken.
  const written = window.options.task === 'translate' ? 'en' : window.language;
  return splitWords(text, (tokens) => vocabulary.decode(tokens), written).map((word) => {
    const from = at;
    at += word.tokens.length;
    const sum = probabilities.slice(from, at).reduce((total, probability) => total + probability, 0);
    return {
      ...word,
      startSeconds: seconds(from),
      endSeconds: seconds(at),
      probability: sum / word.tokens.length,
    };
  });
}
