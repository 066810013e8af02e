/** What decoders share: tensors of numbers, the names and outputs of a cache, and the inputs of a compiled graph for a run without one. */
import { attentionsName, pastName } from '@heimdex/onnx';
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import type { DecoderOutput, DecoderSizes, DecoderState } from './decoder.js';
import { PAST_LENGTH, STEP_MASK } from './graph/step-graph.js';

/** The keys and values of the tokens so far, and of the audio. */
const PARTS = ['decoder', 'encoder'] as const;
const SIDES = ['key', 'value'] as const;
export type Part = (typeof PARTS)[number];

/** The cross attentions of all layers are outputs of the graph. */
export function layersOf({ layerCount }: DecoderSizes): readonly number[] {
  return Array.from({ length: layerCount }, (_, layer) => layer);
}

/** Log counts for audio whose rows stand for one position each: [audios, 1, 1, 1]. */
export function onePositionEach(audios: number): Tensor {
  return new Tensor('float32', new Float32Array(audios), [audios, 1, 1, 1]);
}

/** Inputs of a run of `tokens` tokens in each of `rows` sequences, with an empty cache before them. */
export function firstRun(sizes: DecoderSizes, rows: number, tokens: number): Record<string, Tensor> {
  const { headCount, headSize } = sizes;
  const empty = new Tensor('float32', new Float32Array(0), [rows, headCount, 0, headSize]);
  return {
    ...Object.fromEntries(cacheInputs(sizes, ['decoder']).map((name) => [name, empty])),
    [PAST_LENGTH]: counted(0),
    [STEP_MASK]: causalMask(tokens),
  };
}

export function outputFrom(
  outputs: InferenceSession.OnnxValueMapType,
  state: DecoderState,
  given: number,
  attentionLayers: readonly number[],
): DecoderOutput {
  const scores = outputs.logits?.data as Float32Array;
  const vocabulary = scores.length / (state.rows * given);
  return {
    state,
    attentions: new Map(attentionLayers.map((layer) => [layer, outputs[attentionsName(layer)] as Tensor])),
    logits: (row, index = 0) =>
      scores.subarray((row * given + index) * vocabulary, (row * given + index + 1) * vocabulary),
  };
}

/** Causal mask of a prompt: float32 [1, 1, tokens, tokens]. */
function causalMask(tokens: number): Tensor {
  const mask = new Float32Array(tokens * tokens);
  for (let row = 0; row < tokens; row++)
    mask.fill(Number.NEGATIVE_INFINITY, row * tokens + row + 1, (row + 1) * tokens);
  return new Tensor('float32', mask, [1, 1, tokens, tokens]);
}

/** Numbers of tokens, or positions: int64 [n]. */
export function counted(...tokens: readonly number[]): Tensor {
  return new Tensor('int64', BigInt64Array.from(tokens, BigInt), [tokens.length]);
}

/** Tokens of sequences of one length: int64 [rows, tokens]. */
export function inputIds(rows: readonly (readonly number[])[]): Tensor {
  return new Tensor('int64', BigInt64Array.from(rows.flat(), BigInt), [rows.length, rows[0]?.length ?? 0]);
}

/** Names of the inputs with the cache's keys and values, layer by layer. */
export function cacheInputs(
  { layerCount }: Pick<DecoderSizes, 'layerCount'>,
  parts: readonly Part[] = PARTS,
): readonly string[] {
  return Array.from({ length: layerCount }, (_, layer) =>
    parts.flatMap((part) => SIDES.map((side) => pastName(layer, part, side))),
  ).flat();
}

export const inputOf = (output: string) => output.replace('present', 'past_key_values');
export const outputOf = (input: string) => input.replace('past_key_values', 'present');
