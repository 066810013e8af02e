import { pastName, WHISPER_VALUES } from '@heimdex/onnx';
import { Tensor } from 'onnxruntime-common';
import { CompilerError } from '../errors.js';
import { bertPositions } from '../families/bert-positions.js';
import type { ConfigReader } from '../families/config.js';
import type { Values } from './layerwise.js';
import { randomNumbers } from './random-numbers.js';

/**
 * Inputs of the self-check; `outputs` are the float32 outputs of the preceding graphs, `emptyText` the special tokens around every
 * text.
 */
export type Probe = (config: ConfigReader, outputs: Values, emptyText: readonly number[]) => Values;

/** Computed positions of the encoder: 6 s. */
const PROBE_POSITIONS = 300;
/** Those that the decoder attends to: their keys and values for all layers of the largest Whisper are 50 MB. */
const CROSS_POSITIONS = 150;
/** Tokens of each of the decoder's texts. */
const PROBE_TOKENS = 32;
const SHORT_TEXT = 24;
const LONG_TEXT = 64;

/** Of Whisper's vocabularies: the smallest of several languages, the tokens that begin a text, and how many timestamps are at their ends. */
const MULTILINGUAL = 51_865;
const START = 50_258;
const START_ENGLISH = 50_257;
const TIMESTAMPS = 1501;

/** Values that vary smoothly over two axes, like brightness and sound, with some noise; -1 to 1. [planes, rows, columns]. */
function smooth(planes: number, rows: number, columns: number, seed: number): Float32Array {
  const random = randomNumbers(seed);
  const values = new Float32Array(planes * rows * columns);
  for (let plane = 0; plane < planes; plane++) {
    const waves = Array.from({ length: 6 }, () => [random() * 12, random() * 12, random() * 6.3, random()] as const);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        let sum = 0.3 * (random() - 0.5);
        for (const [x, y, phase, height] of waves) {
          sum += height * Math.sin((x * column) / columns + (y * row) / rows + phase) * 0.5;
        }
        values[(plane * rows + row) * columns + column] = Math.max(-1, Math.min(1, sum));
      }
    }
  }
  return values;
}

function tokens(count: number, vocabulary: number, seed: number): BigInt64Array {
  const random = randomNumbers(seed);
  return BigInt64Array.from({ length: count }, () => BigInt(Math.floor(random() * vocabulary)));
}

function indices(count: number): Tensor {
  return new Tensor(
    'int64',
    BigInt64Array.from({ length: count }, (_, index) => BigInt(index)),
    [count],
  );
}

/** Two images. */
export const siglipVisionProbe: Probe = (config) => {
  const side = config.part('vision_config').count('image_size', 224);
  const images = new Float32Array(2 * 3 * side * side);
  images.set(smooth(3, side, side, 1));
  images.set(smooth(3, side, side, 2), 3 * side * side);
  return { pixel_values: new Tensor('float32', images, [2, 3, side, side]) };
};

/** A long text, a short one, two of one word and an empty one, padded with token 1: the shorter, the larger the rounding error. */
export const siglipTextProbe: Probe = (config) => {
  const text = config.part('text_config');
  const length = text.count('max_position_embeddings', 64);
  const lengths = [length, Math.floor(length / 4), 1, 1, 0];
  const random = tokens(lengths.length * length, text.count('vocab_size', 32000), 3);
  lengths.forEach((words, row) => {
    random.fill(1n, row * length + words, (row + 1) * length);
  });
  return { input_ids: new Tensor('int64', random, [lengths.length, length]) };
};

/**
 * A long text, a short one, two of one word and an empty one, padded: the fewer the tokens, the larger the rounding error. Throws
 * CONFIG_UNSUPPORTED for special tokens beyond the vocabulary.
 */
export const bertProbe: Probe = (config, _outputs, emptyText) => {
  const { first, count } = bertPositions(config);
  const length = Math.min(LONG_TEXT, count - first);
  const vocabulary = config.count('vocab_size', 30522);
  const random = tokens(3 * length, vocabulary, 4);
  const unknown = emptyText.find((id) => id >= vocabulary);
  if (unknown !== undefined) {
    throw new CompilerError(
      'CONFIG_UNSUPPORTED',
      `Expected the tokens that tokenizer.json adds to every text to be below ${vocabulary}, vocab_size of config.json, got ${unknown}. The two files are of different models.`,
    );
  }
  // Those that leave no room for a word are left out.
  const around = emptyText.length < length ? emptyText.length : 0;
  const begin = emptyText.slice(0, Math.ceil(around / 2)).map(BigInt);
  const end = emptyText.slice(begin.length, around).map(BigInt);
  const text = (from: number, words: number) => [...begin, ...random.slice(from, from + words), ...end];
  const texts = [
    text(0, length - around),
    text(length, Math.min(SHORT_TEXT, length - around)),
    text(2 * length, 1),
    text(2 * length + 1, 1),
    // Without known special tokens there is no empty text.
    ...(around === 0 ? [] : [text(0, 0)]),
  ];
  const ids = new BigInt64Array(texts.length * length);
  const mask = new BigInt64Array(texts.length * length);
  texts.forEach((one, row) => {
    ids.set(one, row * length);
    mask.fill(1n, row * length, row * length + one.length);
  });
  const dims = [texts.length, length];
  return { input_ids: new Tensor('int64', ids, dims), attention_mask: new Tensor('int64', mask, dims) };
};

/** Six seconds of a synthetic spectrogram. */
export const whisperEncoderProbe: Probe = (config) => {
  const mels = config.count('num_mel_bins', 80);
  const frames = 2 * PROBE_POSITIONS;
  return {
    [WHISPER_VALUES.features]: new Tensor('float32', smooth(1, mels, frames, 5), [1, mels, frames]),
    [WHISPER_VALUES.rows]: indices(PROBE_POSITIONS),
    [WHISPER_VALUES.positions]: indices(PROBE_POSITIONS),
    [WHISPER_VALUES.merged]: new Tensor('bool', [false], [1]),
    [WHISPER_VALUES.logCounts]: new Tensor('float32', [0], [1, 1, 1, 1]),
  };
};

/** Outputs of the float32 encoder. */
export const whisperCrossProbe: Probe = (config, outputs) => {
  const { data } = outputs[WHISPER_VALUES.encoded] as Tensor;
  const width = config.count('d_model');
  const states = (data as Float32Array).subarray(0, CROSS_POSITIONS * width);
  return { [WHISPER_VALUES.states]: new Tensor('float32', states, [1, CROSS_POSITIONS, width]) };
};

/**
 * The beginnings of a text without timestamps and of one with them, over the outputs of the float32 graphs. Words are drawn by Zipf's law:
 * tokens are numbered by their frequency. Without the tokens that begin every text the first one, to which all others attend, is a
 * word: there the rounding error is many times as large, by chance, and of forms in another order.
 */
export const whisperDecoderProbe: Probe = (config, outputs) => {
  const heads = config.count('decoder_attention_heads');
  const size = config.count('d_model') / heads;
  const vocabulary = config.count('vocab_size');
  const texts = textBeginnings(vocabulary);
  const words = textWords(texts.length * PROBE_TOKENS, vocabulary);
  const ids = texts.flatMap((text, row) => [
    ...text,
    ...words.slice(row * PROBE_TOKENS + text.length, (row + 1) * PROBE_TOKENS),
  ]);
  const mask = new Float32Array(PROBE_TOKENS ** 2);
  for (let row = 0; row < PROBE_TOKENS; row++)
    mask.fill(Number.NEGATIVE_INFINITY, row * PROBE_TOKENS + row + 1, (row + 1) * PROBE_TOKENS);
  const feeds: Record<string, Tensor> = {
    [WHISPER_VALUES.tokens]: new Tensor('int64', BigInt64Array.from(ids, BigInt), [texts.length, PROBE_TOKENS]),
    [WHISPER_VALUES.pastLength]: new Tensor('int64', [0n], [1]),
    [WHISPER_VALUES.mask]: new Tensor('float32', mask, [1, 1, PROBE_TOKENS, PROBE_TOKENS]),
    [WHISPER_VALUES.encoderLogCounts]: new Tensor('float32', [0], [1, 1, 1, 1]),
    [WHISPER_VALUES.logitPositions]: indices(PROBE_TOKENS),
  };
  for (let layer = 0; layer < config.count('decoder_layers'); layer++) {
    for (const side of ['key', 'value'] as const) {
      const empty = new Tensor('float32', new Float32Array(0), [texts.length, heads, 0, size]);
      feeds[pastName(layer, 'decoder', side)] = empty;
      const name = pastName(layer, 'encoder', side);
      feeds[name] = outputs[name.replace('past_key_values', 'present')] as Tensor;
    }
  }
  return feeds;
};

/**
 * What precedes a text, without and with timestamps: start, language, task, and no timestamps or the first one. English-only models
 * have no language and task. The numbers are those of OpenAI's tokenizers; in a smaller vocabulary they are any tokens.
 */
function textBeginnings(vocabulary: number): readonly (readonly number[])[] {
  const noTimestamps = vocabulary - TIMESTAMPS - 1;
  const first = vocabulary < MULTILINGUAL ? [START_ENGLISH] : [START, START + 1, noTimestamps - 4];
  return [noTimestamps, noTimestamps + 1].map((last) => [...first, last].map((id) => Math.abs(id) % vocabulary));
}

function textWords(count: number, vocabulary: number): number[] {
  const random = randomNumbers(6);
  const words = Math.log(Math.min(START_ENGLISH - 1, vocabulary));
  return Array.from({ length: count }, () => Math.floor(Math.exp(random() * words)));
}

const CROSS_INPUT = /\.encoder\.(key|value)$/;

/**
 * Rounds the probe's keys and values of the audio to 8 bits, one scale per position and head, as the server keeps them. In place: a copy
 * takes 60 MB for Whisper medium, and the float32 graphs have run.
 */
export function roundCross(probe: Values): void {
  for (const [name, value] of Object.entries(probe)) if (CROSS_INPUT.test(name)) roundRows(value);
}

function roundRows({ data, dims }: Tensor): void {
  const values = data as Float32Array;
  const size = dims.at(-1) ?? 1;
  for (let at = 0; at < values.length; at += size) {
    const row = values.subarray(at, at + size);
    const step = row.reduce((peak, value) => Math.max(peak, Math.abs(value)), 0) / 127;
    if (step > 0) for (let i = 0; i < size; i++) row[i] = Math.round((row[i] as number) / step) * step;
  }
}
