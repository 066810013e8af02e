import type { Tensor } from 'onnxruntime-node';

/** Dimensions of a decoder, from its config.json. */
export interface DecoderSizes {
  readonly layerCount: number;
  readonly headCount: number;
  readonly headSize: number;
}

/** Paths of the two graphs of a compiled decoder: cross attention's keys and values, and the steps. */
export interface DecoderPaths {
  readonly cross: string;
  readonly decoder: string;
}

/**
 * The key-value cache of the decoded tokens and of the encoder's output. A step may write the new token into the cache of
 * the state it continues. Several continuations of one state must therefore run in turn, and each invalidates the one
 * before. `selectRows` copies a row that is selected twice.
 */
export interface DecoderState {
  /** By input name: [rows, heads, tokens or capacity, head size]. */
  readonly cache: Readonly<Record<string, Tensor>>;
  /** Sequences decoded together. */
  readonly rows: number;
  /** Tokens per sequence. */
  readonly length: number;
  /** Positions of the encoder's output. */
  readonly audioPositions: number;
  /**
   * Whether the cache stays in place between steps: the encoder's keys and values have one row per audio instead of one
   * per sequence, and the decoder's have spare capacity.
   */
  readonly inPlace: boolean;
  /** Number of leading tokens that all sequences share, if known. */
  readonly inCommon?: number | undefined;
}

/** The audio input of a decoder. */
export interface EncodedAudio {
  /** The encoder's output [audios, positions, width]. */
  readonly states: Tensor;
  /**
   * The logarithm of the number of positions each row represents, [audios, 1, 1, positions], where some represent
   * several. Only for a decoder that `hasProportionalAttention`.
   */
  readonly logCounts?: Tensor | undefined;
}

/** The output of one decoder run. */
export interface DecoderOutput {
  readonly state: DecoderState;
  /** Scores over the vocabulary for sequence `row` at the `index`-th requested position. A writable view. */
  logits(row: number, index?: number): Float32Array;
  /** Cross attentions [rows, heads, tokens of this run, audio positions] by layer, if requested. */
  readonly attentions: ReadonlyMap<number, Tensor>;
}

/** Decodes from audio and prompts, then token by token. */
export interface Decoder {
  /** Whether a sequence's scores are independent of the other sequences in the batch. */
  readonly batchInvariant: boolean;
  /** Whether rows of the audio may represent several positions. */
  readonly hasProportionalAttention: boolean;
  /** Bytes of a number among the audio's keys and values. */
  readonly crossValueBytes: number;
  /** Layers whose cross attentions are available. */
  readonly attentionLayers: readonly number[];
  /**
   * Begins a sequence per audio; all prompts have the same length. Returns logits for `positions` of the prompt,
   * default the last.
   */
  start(
    audio: EncodedAudio,
    prompts: readonly (readonly number[])[],
    positions?: readonly number[],
    attentionLayers?: readonly number[],
  ): Promise<DecoderOutput>;
  /** Appends one token to every sequence. */
  step(state: DecoderState, tokens: readonly number[]): Promise<DecoderOutput>;
  close(): Promise<void>;
}
