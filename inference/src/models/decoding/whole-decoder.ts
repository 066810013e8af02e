import { attentionsName } from '@heimdex/onnx';
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { parseModelFile } from '../../onnx/index.js';
import type { LoadOptions } from '../model.js';
import { compiledSettings, createChanged } from '../session/compiled-session.js';
import { externalFilesOf } from '../session/external-data.js';
import { sessionOptions } from '../session/open-session.js';
import { counted, firstRun, layersOf, onePositionEach, outputFrom } from './compiled-graph.js';
import type { Decoder, DecoderOutput, DecoderPaths, DecoderSizes, DecoderState, EncodedAudio } from './decoder.js';
import { joinCross, STATES } from './graph/joined-cross.js';
import { LOGIT_POSITIONS } from './graph/logit-positions.js';
import { LOG_COUNTS } from './graph/token-merging.js';
import { append, withCapacity } from './kv-cache.js';

/** Tokens so far [rows, 1, capacity, 1], shaped as a cache. Ids are below 2^24, which float32 holds exactly. */
const TOKENS = 'heimdex_tokens';

/**
 * A compiled decoder for a GPU: each step runs all tokens so far and the cross attention's keys and values again. The runtime's
 * Node.js binding can only pass values through the CPU's memory, and copying a window's keys and values to the GPU for every token
 * (295 MB with Whisper medium, and the cache) takes many times as long as computing them there.
 */
export class WholeDecoder implements Decoder {
  readonly batchInvariant = true;
  readonly hasProportionalAttention = true;
  readonly crossValueBytes = 4;

  private constructor(
    private readonly session: InferenceSession,
    private readonly sizes: DecoderSizes,
  ) {}

  /** Throws when the graphs are not those of a compiled decoder. */
  static async open(paths: DecoderPaths, sizes: DecoderSizes, options: LoadOptions): Promise<WholeDecoder> {
    await externalFilesOf(paths.cross, options.externalFiles ?? []);
    const model = parseModelFile(paths.decoder);
    joinCross(model, parseModelFile(paths.cross));
    const settings = compiledSettings(sessionOptions(options), {});
    return new WholeDecoder(await createChanged(paths.decoder, model, settings, options.externalFiles), sizes);
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
    const tokens = new Tensor('float32', Float32Array.from(prompts.flat()), [prompts.length, 1, length, 1]);
    const cache = {
      [STATES]: states,
      [LOG_COUNTS]: logCounts ?? onePositionEach(audios),
      [TOKENS]: withCapacity(tokens, length),
    };
    const state = { cache, rows: prompts.length, length, audioPositions: states.dims[1] ?? 0, inPlace: true };
    return this.#run(state, positions, attentionLayers);
  }

  async step(state: DecoderState, tokens: readonly number[]): Promise<DecoderOutput> {
    const added = new Tensor('float32', Float32Array.from(tokens), [tokens.length, 1, 1, 1]);
    const all = append(state.cache[TOKENS] as Tensor, state.length, added);
    const next = { ...state, cache: { ...state.cache, [TOKENS]: all }, length: state.length + 1 };
    return this.#run(next, [state.length], []);
  }

  close(): Promise<void> {
    return this.session.release();
  }

  async #run(
    state: DecoderState,
    positions: readonly number[],
    attentionLayers: readonly number[],
  ): Promise<DecoderOutput> {
    const { rows, length, cache } = state;
    const { [TOKENS]: tokens, ...audio } = cache;
    const values = (tokens?.data ?? []) as Float32Array;
    const capacity = tokens?.dims[2] ?? 0;
    const ids = new BigInt64Array(rows * length);
    for (let row = 0; row < rows; row++) {
      for (let at = 0; at < length; at++) {
        ids[row * length + at] = BigInt(values[row * capacity + at] as number);
      }
    }
    const outputs = await this.session.run(
      {
        ...audio,
        ...firstRun(this.sizes, rows, length),
        input_ids: new Tensor('int64', ids, [rows, length]),
        [LOGIT_POSITIONS]: counted(...positions),
      },
      ['logits', ...attentionLayers.map(attentionsName)],
    );
    return outputFrom(outputs, state, positions.length, attentionLayers);
  }
}
