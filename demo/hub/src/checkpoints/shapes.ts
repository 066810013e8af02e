/** Tensor names and shapes of checkpoints by configuration, as saved by transformers. */

/** Shapes by tensor name, in file order. */
export type Shapes = Readonly<Record<string, readonly number[]>>;

/** A Whisper with the same width and depth in encoder and decoder. */
export interface WhisperSize {
  readonly width: number;
  readonly layers: number;
  readonly vocabulary: number;
  readonly mels: number;
}

/** A SigLIP with two towers of the same size. */
export interface SiglipSize {
  readonly width: number;
  readonly inner: number;
  readonly layers: number;
  readonly vocabulary: number;
  readonly side: number;
  readonly patch: number;
}

/** A BERT or XLM-RoBERTa. */
export interface BertSize {
  readonly width: number;
  readonly inner: number;
  readonly layers: number;
  readonly vocabulary: number;
  readonly positions: number;
  readonly types: number;
}

/** `proj_out` is tied to the token embeddings and not in the file. */
export function whisperShapes({ width, layers, vocabulary, mels }: WhisperSize): Shapes {
  const attention = (name: string): Shapes => ({
    ...linear(`${name}.q_proj`, width, width),
    ...linear(`${name}.v_proj`, width, width),
    ...linear(`${name}.out_proj`, width, width),
    // Keys have no bias.
    [`${name}.k_proj.weight`]: [width, width],
  });
  const layer = (name: string, cross: boolean): Shapes => ({
    ...attention(`${name}.self_attn`),
    ...norm(`${name}.self_attn_layer_norm`, width),
    ...(cross ? { ...attention(`${name}.encoder_attn`), ...norm(`${name}.encoder_attn_layer_norm`, width) } : {}),
    ...linear(`${name}.fc1`, 4 * width, width),
    ...linear(`${name}.fc2`, width, 4 * width),
    ...norm(`${name}.final_layer_norm`, width),
  });
  return {
    'model.encoder.conv1.weight': [width, mels, 3],
    'model.encoder.conv1.bias': [width],
    'model.encoder.conv2.weight': [width, width, 3],
    'model.encoder.conv2.bias': [width],
    'model.encoder.embed_positions.weight': [1500, width],
    ...repeated(layers, (index) => layer(`model.encoder.layers.${index}`, false)),
    ...norm('model.encoder.layer_norm', width),
    'model.decoder.embed_tokens.weight': [vocabulary, width],
    'model.decoder.embed_positions.weight': [448, width],
    ...repeated(layers, (index) => layer(`model.decoder.layers.${index}`, true)),
    ...norm('model.decoder.layer_norm', width),
  };
}

/** Both towers, the pooling head of the vision tower and the projection of the text tower. */
export function siglipShapes({ width, inner, layers, vocabulary, side, patch }: SiglipSize): Shapes {
  const encoder = (tower: string) =>
    repeated(layers, (index) => {
      const name = `${tower}.encoder.layers.${index}`;
      const parts = ['q_proj', 'k_proj', 'v_proj', 'out_proj'].map((part) =>
        linear(`${name}.self_attn.${part}`, width, width),
      );
      return Object.assign({}, ...parts, norm(`${name}.layer_norm1`, width), norm(`${name}.layer_norm2`, width), {
        ...linear(`${name}.mlp.fc1`, inner, width),
        ...linear(`${name}.mlp.fc2`, width, inner),
      });
    });
  const head = 'vision_model.head';
  return {
    logit_scale: [1],
    logit_bias: [1],
    'vision_model.embeddings.patch_embedding.weight': [width, 3, patch, patch],
    'vision_model.embeddings.patch_embedding.bias': [width],
    'vision_model.embeddings.position_embedding.weight': [Math.floor(side / patch) ** 2, width],
    ...encoder('vision_model'),
    ...norm('vision_model.post_layernorm', width),
    [`${head}.probe`]: [1, 1, width],
    [`${head}.attention.in_proj_weight`]: [3 * width, width],
    [`${head}.attention.in_proj_bias`]: [3 * width],
    ...linear(`${head}.attention.out_proj`, width, width),
    ...norm(`${head}.layernorm`, width),
    ...linear(`${head}.mlp.fc1`, inner, width),
    ...linear(`${head}.mlp.fc2`, width, inner),
    'text_model.embeddings.token_embedding.weight': [vocabulary, width],
    'text_model.embeddings.position_embedding.weight': [64, width],
    ...encoder('text_model'),
    ...norm('text_model.final_layer_norm', width),
    ...linear('text_model.head', width, width),
  };
}

/** Only the encoder, as in BAAI/bge-m3. `pooler` adds BERT's pooler, which sentence embedders do not use. */
export function bertShapes(size: BertSize, { pooler = false } = {}): Shapes {
  const { width, inner, layers, vocabulary, positions, types } = size;
  return {
    'embeddings.word_embeddings.weight': [vocabulary, width],
    'embeddings.position_embeddings.weight': [positions, width],
    'embeddings.token_type_embeddings.weight': [types, width],
    ...norm('embeddings.LayerNorm', width),
    ...repeated(layers, (index) => {
      const name = `encoder.layer.${index}`;
      const parts = ['query', 'key', 'value'].map((part) => linear(`${name}.attention.self.${part}`, width, width));
      return Object.assign({}, ...parts, {
        ...linear(`${name}.attention.output.dense`, width, width),
        ...norm(`${name}.attention.output.LayerNorm`, width),
        ...linear(`${name}.intermediate.dense`, inner, width),
        ...linear(`${name}.output.dense`, width, inner),
        ...norm(`${name}.output.LayerNorm`, width),
      });
    }),
    ...(pooler ? linear('pooler.dense', width, width) : {}),
  };
}

function linear(name: string, outputs: number, inputs: number): Shapes {
  return { [`${name}.weight`]: [outputs, inputs], [`${name}.bias`]: [outputs] };
}

function norm(name: string, width: number): Shapes {
  return { [`${name}.weight`]: [width], [`${name}.bias`]: [width] };
}

function repeated(count: number, shapesOf: (index: number) => Shapes): Shapes {
  return Object.assign({}, ...Array.from({ length: count }, (_, index) => shapesOf(index)));
}
