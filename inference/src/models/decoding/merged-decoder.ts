import { attentionsName } from '@heimdex/onnx';
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { isBatchInvariant, quantizePerToken } from '../../onnx/index.js';
import type { LoadOptions } from '../model.js';
import { type GraphTransform, openTransformedSession } from '../session/transformed-session.js';
import {
  cacheInputs,
  counted,
  inputIds,
  inputOf,
  onePositionEach,
  outputFrom,
  outputOf,
  type Part,
} from './compiled-graph.js';
import type { Decoder, DecoderOutput, DecoderSizes, DecoderState, EncodedAudio } from './decoder.js';
import { chooseLogitPositions, LOGIT_POSITIONS } from './graph/logit-positions.js';
import { keepCacheInPlace, PAST_LENGTH, STEP_MASK } from './graph/step-graph.js';
import { addProportionalAttention, LOG_COUNTS } from './graph/token-merging.js';
import { append, stepMask, withCapacity } from './kv-cache.js';

const FIRST_KEYS = 'past_key_values.0.decoder.key';

/** Transforms of a decoder's graph. */
const DECODER_TRANSFORM: GraphTransform = {
  version: 'merged-decoder-8',
  change(model, read) {
    const chooses = chooseLogitPositions(model.graph);
    const merges = addProportionalAttention(model);
    const inPlace = keepCacheInPlace(model);
    return quantizePerToken(model, read) > 0 || chooses || merges || inPlace;
  },
};

/**
 * A decoder in the layout of transformers.js ("merged"): one graph that starts from the encoder's output or continues
 * from a cache. The cross-attention keys and values are computed once, at the start; the cache stays in the runtime's
 * memory.
 */
export class MergedDecoder implements Decoder {
  readonly #choosesPositions: boolean;
  readonly #inPlace: boolean;
  readonly #noCache: Readonly<Record<string, Tensor>>;
  readonly crossValueBytes = 4;

  private constructor(
    private readonly session: InferenceSession,
    private readonly sizes: DecoderSizes,
    readonly batchInvariant: boolean,
  ) {
    this.#choosesPositions = session.inputNames.includes(LOGIT_POSITIONS);
    this.#inPlace = session.inputNames.includes(PAST_LENGTH);
    const empty = new Tensor('float32', new Float32Array(0), [1, sizes.headCount, 0, sizes.headSize]);
    this.#noCache = { ...Object.fromEntries(cacheInputs(sizes).map((name) => [name, empty])), ...this.#filled(0, 0) };
  }

  /** Throws when the graph at `path` lacks the inputs and outputs of such a decoder. */
  static async open(path: string, sizes: DecoderSizes, options: LoadOptions): Promise<MergedDecoder> {
    const { session, facts } = await openTransformedSession(path, options, DECODER_TRANSFORM);
    const cache = cacheInputs(sizes);
    const expected = ['input_ids', 'encoder_hidden_states', 'use_cache_branch', ...cache];
    const missing = [
      ...expected.filter((name) => !session.inputNames.includes(name)),
      ...['logits', ...cache.map(outputOf)].filter((name) => !session.outputNames.includes(name)),
    ];
    if (missing.length > 0) {
      await session.release();
      throw new Error(
        `Expected ${path} to be a merged decoder of ${sizes.layerCount} layers, got none with ${missing[0]}.`,
      );
    }
    return new MergedDecoder(session, sizes, isBatchInvariant(facts));
  }

  get hasProportionalAttention(): boolean {
    return this.session.inputNames.includes(LOG_COUNTS);
  }

  /** Layers whose cross attentions the graph outputs. */
  get attentionLayers(): readonly number[] {
    return this.session.outputNames.flatMap((name) => {
      const match = /^cross_attentions\.(\d+)$/.exec(name);
      return match === null ? [] : [Number(match[1])];
    });
  }

  async start(
    { states, logCounts }: EncodedAudio,
    prompts: readonly (readonly number[])[],
    positions: readonly number[] = [(prompts[0]?.length ?? 1) - 1],
    attentionLayers: readonly number[] = [],
  ): Promise<DecoderOutput> {
    const weights = this.#weights(logCounts, states.dims[0] ?? 1);
    const outputs = await this.#run(
      {
        encoder_hidden_states: states,
        use_cache_branch: new Tensor('bool', [false], [1]),
        ...this.#noCache,
        ...weights,
      },
      prompts,
      positions,
      attentionLayers,
    );
    const length = prompts[0]?.length ?? 0;
    const audioPositions = states.dims[1] ?? 0;
    const state = { cache: weights, rows: prompts.length, length, audioPositions, inPlace: this.#inPlace };
    return this.#output(outputs, state, positions, length, attentionLayers);
  }

  async step(state: DecoderState, tokens: readonly number[]): Promise<DecoderOutput> {
    // Not read when there is a cache, but quantized at every step by the hub's exports: keep it as short as possible.
    const unread = new Tensor('float32', new Float32Array(state.rows * this.#width), [state.rows, 1, this.#width]);
    const outputs = await this.#run(
      {
        encoder_hidden_states: unread,
        use_cache_branch: new Tensor('bool', [true], [1]),
        ...state.cache,
        ...this.#filled(state.length, state.cache[FIRST_KEYS]?.dims[2] ?? 0),
      },
      tokens.map((token) => [token]),
      [0],
      [],
      ['decoder'],
    );
    return this.#output(outputs, { ...state, length: state.length + 1 }, [0], 1, []);
  }

  close(): Promise<void> {
    return this.session.release();
  }

  /** Kept with the cache, like the audio: one row per audio, so that states can be concatenated and split. */
  #weights(logCounts: Tensor | undefined, audios: number): Record<string, Tensor> {
    if (this.hasProportionalAttention) {
      return { [LOG_COUNTS]: logCounts ?? onePositionEach(audios) };
    }
    if (logCounts !== undefined) throw new Error('Expected audio whose rows stand for one position each.');
    return {};
  }

  /** Converts a run's keys or values to the next run's inputs. */
  #kept(name: string, before: Tensor | undefined, given: Tensor, tokens: number): Tensor {
    if (!this.#inPlace || name.includes('.encoder.')) return given;
    return before === undefined ? withCapacity(given, tokens) : append(before, tokens - 1, given);
  }

  /** The extra inputs of a graph with in-place cache. */
  #filled(length: number, capacity: number): Record<string, Tensor> {
    if (!this.#inPlace) return {};
    return {
      [PAST_LENGTH]: counted(length),
      [STEP_MASK]: stepMask(length, capacity),
    };
  }

  get #width(): number {
    return this.sizes.headCount * this.sizes.headSize;
  }

  #run(
    feeds: Record<string, Tensor>,
    tokens: readonly (readonly number[])[],
    positions: readonly number[],
    attentionLayers: readonly number[],
    parts?: readonly Part[],
  ): Promise<InferenceSession.OnnxValueMapType> {
    return this.session.run(
      {
        ...feeds,
        input_ids: inputIds(tokens),
        ...(this.#choosesPositions && { [LOGIT_POSITIONS]: counted(...positions) }),
      },
      ['logits', ...cacheInputs(this.sizes, parts).map(outputOf), ...attentionLayers.map(attentionsName)],
    );
  }

  /** `before`: the cache before the run, and the length after it. */
  #output(
    outputs: InferenceSession.OnnxValueMapType,
    before: DecoderState,
    positions: readonly number[],
    tokensThisRun: number,
    attentionLayers: readonly number[],
  ): DecoderOutput {
    const cache: Record<string, Tensor> = { ...before.cache };
    for (const [name, value] of Object.entries(outputs)) {
      if (!name.startsWith('present.')) continue;
      const input = inputOf(name);
      cache[input] = this.#kept(input, before.cache[input], value as Tensor, before.length);
    }
    const state = { ...before, cache };
    if (this.#choosesPositions) return outputFrom(outputs, state, positions.length, attentionLayers);
    const output = outputFrom(outputs, state, tokensThisRun, attentionLayers);
    return { ...output, logits: (row, index = 0) => output.logits(row, positions[index] ?? 0) };
  }
}
