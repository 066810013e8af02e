import { attentionsName, pastName, presentName } from '@heimdex/onnx';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { type OnnxModel, parseModelFile } from '../../onnx/index.js';
import type { LoadOptions } from '../model.js';
import { openChanged, openCompiled } from '../session/compiled-session.js';
import { weightsForm } from '../session/weights-form.js';
import {
  cacheInputs,
  counted,
  firstRun,
  inputIds,
  inputOf,
  layersOf,
  onePositionEach,
  outputFrom,
  outputOf,
} from './compiled-graph.js';
import type { Decoder, DecoderOutput, DecoderPaths, DecoderSizes, DecoderState, EncodedAudio } from './decoder.js';
import { LOGIT_POSITIONS } from './graph/logit-positions.js';
import { QUANTIZED_CROSS, quantizeCross } from './graph/quantized-cross.js';
import { PAST_LENGTH, STEP_MASK } from './graph/step-graph.js';
import { LOG_COUNTS } from './graph/token-merging.js';
import { append, stepMask, withCapacity } from './kv-cache.js';
import { eachRow, joinTensors } from './state-rows.js';

/**
 * A decoder exported by the compiler as two graphs. One computes the cross-attention keys and values, once per audio
 * file. The other accepts any number of tokens, reads a cache with spare capacity, and returns the keys and values of
 * its own tokens only.
 */
export class CompiledDecoder implements Decoder {
  readonly batchInvariant = true;
  readonly hasProportionalAttention = true;

  private constructor(
    private readonly cross: InferenceSession,
    private readonly session: InferenceSession,
    private readonly sizes: DecoderSizes,
    readonly crossValueBytes: number,
  ) {}

  /** Throws when the graphs lack the inputs and outputs of such a decoder. */
  static async open(paths: DecoderPaths, sizes: DecoderSizes, options: LoadOptions): Promise<CompiledDecoder> {
    const { cross, session, crossValueBytes } = await openPair(paths, options);
    const decoder = new CompiledDecoder(cross, session, sizes, crossValueBytes);
    const last = sizes.layerCount - 1;
    const expected = [pastName(last, 'decoder', 'key'), pastName(last, 'encoder', 'key'), STEP_MASK, LOG_COUNTS];
    const missing = [
      ...expected.filter((name) => !session.inputNames.includes(name)),
      ...[presentName(last, 'encoder', 'value')].filter((name) => !cross.outputNames.includes(name)),
    ];
    if (missing.length > 0) {
      await decoder.close();
      throw new Error(
        `Expected ${paths.decoder} to be a compiled decoder of ${sizes.layerCount} layers, got none with ${missing[0]}.`,
      );
    }
    return decoder;
  }

  get attentionLayers(): readonly number[] {
    return layersOf(this.sizes);
  }

  async start(
    { states, logCounts }: EncodedAudio,
    prompts: readonly (readonly number[])[],
    positions: readonly number[] = [(prompts[0]?.length ?? 1) - 1],
    attentionLayers: readonly number[] = [],
  ): Promise<DecoderOutput> {
    const audios = states.dims[0] ?? 1;
    const length = prompts[0]?.length ?? 0;
    const audio: Record<string, Tensor> = { [LOG_COUNTS]: logCounts ?? onePositionEach(audios) };
    for (const [name, value] of Object.entries(await this.#keysAndValues(states))) audio[inputOf(name)] = value;
    const feeds = { ...audio, ...firstRun(this.sizes, prompts.length, length) };
    const outputs = await this.#run(feeds, prompts, positions, attentionLayers);
    const cache: Record<string, Tensor> = { ...audio };
    for (const name of cacheInputs(this.sizes, ['decoder'])) {
      cache[name] = withCapacity(outputs[outputOf(name)] as Tensor, length);
    }
    const state = { cache, rows: prompts.length, length, audioPositions: states.dims[1] ?? 0, inPlace: true };
    return outputFrom(outputs, state, positions.length, attentionLayers);
  }

  async step(state: DecoderState, tokens: readonly number[]): Promise<DecoderOutput> {
    const [firstKeys = ''] = cacheInputs({ layerCount: 1 });
    const capacity = state.cache[firstKeys]?.dims[2] ?? 0;
    const feeds = {
      ...state.cache,
      [PAST_LENGTH]: counted(state.length),
      [STEP_MASK]: stepMask(state.length, capacity),
    };
    const outputs = await this.#run(
      feeds,
      tokens.map((token) => [token]),
      [0],
      [],
    );
    const cache: Record<string, Tensor> = { ...state.cache };
    for (const name of cacheInputs(this.sizes, ['decoder'])) {
      cache[name] = append(state.cache[name] as Tensor, state.length, outputs[outputOf(name)] as Tensor);
    }
    return outputFrom(outputs, { ...state, cache, length: state.length + 1 }, 1, []);
  }

  async close(): Promise<void> {
    await this.cross.release();
    await this.session.release();
  }

  /**
   * In 8 bits one audio at a time: the memory that a run keeps for the next is then that of one. In float32 nothing is kept, and joining
   * the results would hold them twice.
   */
  async #keysAndValues(states: Tensor): Promise<Readonly<Record<string, Tensor>>> {
    const runs: Record<string, Tensor>[] = [];
    for (const audio of this.crossValueBytes === 1 ? eachRow(states) : [states]) {
      runs.push((await this.cross.run({ encoder_hidden_states: audio })) as Record<string, Tensor>);
    }
    return Object.fromEntries(
      this.cross.outputNames.map((name) => [name, joinTensors(runs.map((run) => run[name] as Tensor))]),
    );
  }

  #run(
    feeds: Record<string, Tensor>,
    tokens: readonly (readonly number[])[],
    positions: readonly number[],
    attentionLayers: readonly number[],
  ): Promise<InferenceSession.OnnxValueMapType> {
    return this.session.run(
      {
        ...feeds,
        input_ids: inputIds(tokens),
        [LOGIT_POSITIONS]: counted(...positions),
      },
      ['logits', ...cacheInputs(this.sizes, ['decoder']).map(outputOf), ...attentionLayers.map(attentionsName)],
    );
  }
}

interface Pair {
  readonly cross: InferenceSession;
  readonly session: InferenceSession;
  readonly crossValueBytes: number;
}

/** Opens both graphs, with keys and values of the audio in 8 bits where this CPU multiplies such numbers exactly. */
async function openPair(paths: DecoderPaths, options: LoadOptions): Promise<Pair> {
  const decoder = parseModelFile(paths.decoder);
  const cross = parseModelFile(paths.cross);
  const isQuantized = (await weightsForm(options)) === 'plain' && quantizeCross(decoder, cross);
  const open = (path: string, model: OnnxModel, arena: boolean) =>
    isQuantized
      ? openChanged(path, { model, version: QUANTIZED_CROSS }, options, arena)
      : openCompiled(path, options, arena, model);
  // In 8 bits, intermediate results are most of a run's memory; without an arena the kernel zeroes pages for each of them: half the time.
  const opened = await open(paths.cross, cross, isQuantized);
  try {
    const session = await open(paths.decoder, decoder, true);
    return { cross: opened, session, crossValueBytes: isQuantized ? 1 : 4 };
  } catch (error) {
    await opened.release();
    throw error;
  }
}
