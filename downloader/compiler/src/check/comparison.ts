import { WHISPER_VALUES } from '@heimdex/onnx';
import type { Tensor } from 'onnxruntime-node';
import type { Values } from './layerwise.js';

/** Similarity of two runs over one probe: the minimum cosine of the compared values. -1 if there are no numbers. */
export type Comparison = (reference: Values, compiled: Values, probe: Values) => number;

/** Compares each row of the last dimension: vectors of images and texts. */
export const compareRows: Comparison = (reference, compiled) =>
  minCosine(reference, compiled, (name) => (reference[name] as Tensor).dims.at(-1) ?? 1);

/** Compares all values of an output together: attention reads many rows of it, and no single row matters. */
export const compareWhole: Comparison = (reference, compiled) =>
  minCosine(reference, compiled, (name) => (reference[name] as Tensor).data.length);

/** A token's scores may be this many times as far from those of float32 as the mean. */
const WORST_TO_MEAN = 8;

/**
 * Compares each token's scores over the vocabulary, less their mean: probabilities do not depend on it, and some tokens have scores with
 * little else. The mean of all tokens, or less if one of them is far off.
 */
export const compareLogits: Comparison = (reference, compiled) => {
  const { data, dims } = reference[WHISPER_VALUES.logits] as Tensor;
  const scores = data as Float32Array;
  const others = (compiled[WHISPER_VALUES.logits] as Tensor).data as Float32Array;
  const vocabulary = dims.at(-1) ?? 1;
  let [sum, worst] = [0, 1];
  for (let at = 0; at < scores.length; at += vocabulary) {
    const similarity = cosine(
      lessMean(scores.subarray(at, at + vocabulary)),
      lessMean(others.subarray(at, at + vocabulary)),
    );
    sum += similarity;
    worst = Math.min(worst, similarity);
  }
  return Math.min(sum / (scores.length / vocabulary), 1 - (1 - worst) / WORST_TO_MEAN);
};

/** In place: all tokens' scores are tens of megabytes. */
function lessMean(row: Float32Array): Float32Array {
  const mean = row.reduce((sum, value) => sum + value, 0) / row.length;
  for (let i = 0; i < row.length; i++) row[i] = (row[i] as number) - mean;
  return row;
}

/**
 * Compares each text's mean over its tokens and its first token, as pooled by sentence embedders, and the vectors [texts, width] that a
 * graph with its own pooling has.
 */
export const compareTexts: Comparison = (reference, compiled, probe) => {
  const mask = (probe.attention_mask as Tensor).data as BigInt64Array;
  const outputs = Object.entries(reference);
  const vectors = outputs.filter(([, { dims }]) => dims.length === 2);
  let smallest = compareRows(Object.fromEntries(vectors), compiled, probe);
  for (const [name, { dims }] of outputs) {
    if (dims.length !== 3) continue;
    const [texts, length, width] = dims as [number, number, number];
    for (let text = 0; text < texts; text++) {
      const pooled = (values: Values) => {
        const data = (values[name] as Tensor).data as Float32Array;
        const tokens = data.subarray(text * length * width, (text + 1) * length * width);
        return { first: tokens.subarray(0, width), mean: meanOf(tokens, mask.subarray(text * length), width) };
      };
      const [one, other] = [pooled(reference), pooled(compiled)];
      smallest = Math.min(smallest, cosine(one.first, other.first), cosine(one.mean, other.mean));
    }
  }
  return smallest;
};

function meanOf(tokens: Float32Array, mask: BigInt64Array, width: number): Float32Array {
  const sum = new Float32Array(width);
  for (let token = 0; token * width < tokens.length; token++) {
    if (mask[token] !== 1n) continue;
    for (let i = 0; i < width; i++) sum[i] = (sum[i] as number) + (tokens[token * width + i] as number);
  }
  return sum;
}

function minCosine(reference: Values, compiled: Values, rowOf: (name: string) => number): number {
  let smallest = 1;
  for (const name of Object.keys(reference)) {
    const values = (reference[name] as Tensor).data as Float32Array;
    const others = (compiled[name] as Tensor).data as Float32Array;
    const row = rowOf(name);
    for (let at = 0; at < values.length; at += row) {
      smallest = Math.min(smallest, cosine(values.subarray(at, at + row), others.subarray(at, at + row)));
    }
  }
  return smallest;
}

function cosine(one: Float32Array, other: Float32Array): number {
  let dot = 0;
  let first = 0;
  let second = 0;
  for (let i = 0; i < one.length; i++) {
    const a = one[i] as number;
    const b = other[i] as number;
    dot += a * b;
    first += a * a;
    second += b * b;
  }
  if (first === 0 && second === 0) return 1;
  const value = dot / Math.sqrt(first * second);
  return Number.isNaN(value) ? -1 : value;
}
