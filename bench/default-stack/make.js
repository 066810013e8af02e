/**
 * Makes stand-ins of the default checkpoints in their true shapes, with random weights, as a directory in hub layout: what costs time
 * and memory is there, and nobody's weights are needed. Every weight is another number: the runtime shares equal ones.
 * Usage: node bench/default-stack/make.js DIR [SHARED [NAME]]   (about 7.3 GB; of one model: 3.5, 1.5, 2.3)
 */
import { closeSync, copyFileSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const [dir, shared = '../shared', only] = process.argv.slice(2);
if (dir === undefined) throw new Error('Usage: node bench/default-stack/make.js DIR [SHARED [NAME]]');

/** Returns random numbers around 0 with the spread of trained weights (xorshift, two sums of halves per number). */
function fill(values, scale, state) {
  let x = state | 1;
  for (let i = 0; i < values.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    values[i] = ((x & 0xffff) + (x >>> 16) - 65535) * (scale / 26_755);
  }
}

function linear(tensors, name, outputs, inputs, bias = true) {
  tensors[`${name}.weight`] = [outputs, inputs];
  if (bias) tensors[`${name}.bias`] = [outputs];
}

function norm(tensors, name, width) {
  tensors[`${name}.weight`] = [width];
  tensors[`${name}.bias`] = [width];
}

function siglip({ width, inner, layers, vocabulary, side, patch }) {
  const tensors = { logit_scale: [1], logit_bias: [1] };
  const encoder = (tower) => {
    for (let index = 0; index < layers; index++) {
      const name = `${tower}.encoder.layers.${index}`;
      for (const part of ['q_proj', 'k_proj', 'v_proj', 'out_proj'])
        linear(tensors, `${name}.self_attn.${part}`, width, width);
      norm(tensors, `${name}.layer_norm1`, width);
      norm(tensors, `${name}.layer_norm2`, width);
      linear(tensors, `${name}.mlp.fc1`, inner, width);
      linear(tensors, `${name}.mlp.fc2`, width, inner);
    }
  };
  tensors['vision_model.embeddings.patch_embedding.weight'] = [width, 3, patch, patch];
  tensors['vision_model.embeddings.patch_embedding.bias'] = [width];
  tensors['vision_model.embeddings.position_embedding.weight'] = [Math.floor(side / patch) ** 2, width];
  encoder('vision_model');
  norm(tensors, 'vision_model.post_layernorm', width);
  const head = 'vision_model.head';
  tensors[`${head}.probe`] = [1, 1, width];
  tensors[`${head}.attention.in_proj_weight`] = [3 * width, width];
  tensors[`${head}.attention.in_proj_bias`] = [3 * width];
  linear(tensors, `${head}.attention.out_proj`, width, width);
  norm(tensors, `${head}.layernorm`, width);
  linear(tensors, `${head}.mlp.fc1`, inner, width);
  linear(tensors, `${head}.mlp.fc2`, width, inner);
  tensors['text_model.embeddings.token_embedding.weight'] = [vocabulary, width];
  tensors['text_model.embeddings.position_embedding.weight'] = [64, width];
  encoder('text_model');
  norm(tensors, 'text_model.final_layer_norm', width);
  linear(tensors, 'text_model.head', width, width);
  return tensors;
}

function whisper({ width, layers, vocabulary, mels }) {
  const tensors = {};
  const attention = (name) => {
    for (const part of ['q_proj', 'k_proj', 'v_proj', 'out_proj'])
      linear(tensors, `${name}.${part}`, width, width, part !== 'k_proj');
  };
  tensors['model.encoder.conv1.weight'] = [width, mels, 3];
  tensors['model.encoder.conv1.bias'] = [width];
  tensors['model.encoder.conv2.weight'] = [width, width, 3];
  tensors['model.encoder.conv2.bias'] = [width];
  tensors['model.encoder.embed_positions.weight'] = [1500, width];
  tensors['model.decoder.embed_tokens.weight'] = [vocabulary, width];
  tensors['model.decoder.embed_positions.weight'] = [448, width];
  for (const part of ['encoder', 'decoder']) {
    norm(tensors, `model.${part}.layer_norm`, width);
    for (let index = 0; index < layers; index++) {
      const name = `model.${part}.layers.${index}`;
      attention(`${name}.self_attn`);
      norm(tensors, `${name}.self_attn_layer_norm`, width);
      if (part === 'decoder') {
        attention(`${name}.encoder_attn`);
        norm(tensors, `${name}.encoder_attn_layer_norm`, width);
      }
      linear(tensors, `${name}.fc1`, 4 * width, width);
      linear(tensors, `${name}.fc2`, width, 4 * width);
      norm(tensors, `${name}.final_layer_norm`, width);
    }
  }
  return tensors;
}

function bert({ width, inner, layers, vocabulary, positions }) {
  const tensors = {
    'embeddings.word_embeddings.weight': [vocabulary, width],
    'embeddings.position_embeddings.weight': [positions, width],
    'embeddings.token_type_embeddings.weight': [1, width],
  };
  norm(tensors, 'embeddings.LayerNorm', width);
  for (let index = 0; index < layers; index++) {
    const name = `encoder.layer.${index}`;
    for (const part of ['query', 'key', 'value']) linear(tensors, `${name}.attention.self.${part}`, width, width);
    linear(tensors, `${name}.attention.output.dense`, width, width);
    norm(tensors, `${name}.attention.output.LayerNorm`, width);
    linear(tensors, `${name}.intermediate.dense`, inner, width);
    linear(tensors, `${name}.output.dense`, width, inner);
    norm(tensors, `${name}.output.LayerNorm`, width);
  }
  return tensors;
}

const MODELS = [
  {
    name: 'google/siglip-so400m-patch14-384',
    tensors: siglip({ width: 1152, inner: 4304, layers: 27, vocabulary: 32_000, side: 384, patch: 14 }),
    config: {
      model_type: 'siglip',
      text_config: {
        hidden_size: 1152,
        intermediate_size: 4304,
        num_attention_heads: 16,
        num_hidden_layers: 27,
        model_type: 'siglip_text_model',
      },
      vision_config: {
        hidden_size: 1152,
        image_size: 384,
        intermediate_size: 4304,
        num_attention_heads: 16,
        num_hidden_layers: 27,
        patch_size: 14,
        model_type: 'siglip_vision_model',
      },
    },
    files: {
      'tokenizer.json': 'heimdex/siglip-pocket/tokenizer.json',
      'tokenizer_config.json': 'heimdex/siglip-pocket/tokenizer_config.json',
    },
    texts: {
      'preprocessor_config.json': {
        do_resize: true,
        do_rescale: true,
        do_normalize: true,
        image_mean: [0.5, 0.5, 0.5],
        image_std: [0.5, 0.5, 0.5],
        resample: 3,
        rescale_factor: 1 / 255,
        size: { height: 384, width: 384 },
      },
    },
  },
  {
    name: 'openai/whisper-medium',
    tensors: whisper({ width: 1024, layers: 24, vocabulary: 51_865, mels: 80 }),
    // Half precision, as in OpenAI's file; the hub's has twice the bytes.
    half: true,
    change: ending({ width: 1024, end: 50_257, firstTimestamp: 50_364, tokens: 72 }),
    config: {
      model_type: 'whisper',
      d_model: 1024,
      encoder_layers: 24,
      decoder_layers: 24,
      encoder_attention_heads: 16,
      decoder_attention_heads: 16,
      encoder_ffn_dim: 4096,
      decoder_ffn_dim: 4096,
      vocab_size: 51_865,
      num_mel_bins: 80,
      max_source_positions: 1500,
      max_target_positions: 448,
    },
    base: 'onnx-community/whisper-base_timestamped',
    files: Object.fromEntries(
      ['generation_config.json', 'preprocessor_config.json', 'tokenizer.json', 'tokenizer_config.json'].map((file) => [
        file,
        `onnx-community/whisper-base_timestamped/${file}`,
      ]),
    ),
  },
  {
    name: 'BAAI/bge-m3',
    tensors: bert({ width: 1024, inner: 4096, layers: 24, vocabulary: 250_002, positions: 8194 }),
    config: {
      model_type: 'xlm-roberta',
      hidden_size: 1024,
      intermediate_size: 4096,
      num_hidden_layers: 24,
      num_attention_heads: 16,
      vocab_size: 250_002,
      max_position_embeddings: 8194,
      type_vocab_size: 1,
      pad_token_id: 1,
      layer_norm_eps: 1e-5,
      hidden_act: 'gelu',
    },
    files: {
      'tokenizer.json': 'fixtures/bge-m3-tiny/tokenizer.json',
      'tokenizer_config.json': 'fixtures/bge-m3-tiny/tokenizer_config.json',
    },
    texts: {
      'modules.json': [
        { idx: 0, name: '0', path: '', type: 'sentence_transformers.models.Transformer' },
        { idx: 1, name: '1', path: '1_Pooling', type: 'sentence_transformers.models.Pooling' },
        { idx: 2, name: '2', path: '2_Normalize', type: 'sentence_transformers.models.Normalize' },
      ],
      '1_Pooling/config.json': {
        word_embedding_dimension: 1024,
        pooling_mode_cls_token: true,
        pooling_mode_mean_tokens: false,
      },
    },
  },
];

/** Rounds float32 to half precision. The weights are neither large nor subnormal. */
function toHalf(values) {
  const bits = new Uint32Array(values.buffer, 0, values.length);
  return Uint16Array.from(
    bits,
    (one) => ((one >>> 16) & 0x8000) | (Math.max(0, ((one >>> 13) & 0x3ffff) - 0x1c000) & 0x7fff),
  );
}

/**
 * Returns a function that makes Whisper's random weights end a window after 72 tokens, as people's speech does: the positions after them
 * are the end token's own vector a thousand times, which the shared token table then picks. Timestamps, which random scores would
 * prefer (there are 1501 of them, and their probabilities are added), get a direction that the last norm counts against them.
 */
function ending({ width, end, firstTimestamp, tokens }) {
  const prompt = 2;
  const endVector = new Float32Array(width);
  const direction = (column) => ((Math.imul(column + 1, 2_654_435_761) >>> 16) & 1 ? 1 : -1);
  return (name, values, offset) => {
    const each = (from, to, change) => {
      for (let i = Math.max(0, from * width - offset); i < Math.min(values.length, to * width - offset); i++)
        values[i] = change(values[i], (offset + i) % width);
    };
    if (name === 'model.decoder.embed_tokens.weight') {
      each(end, end + 1, (value, column) => {
        endVector[column] = value;
        return value;
      });
      each(firstTimestamp, Number.POSITIVE_INFINITY, (value, column) => value - 0.02 * direction(column));
    } else if (name === 'model.decoder.embed_positions.weight') {
      each(prompt + tokens, Number.POSITIVE_INFINITY, (_, column) => 1000 * endVector[column]);
    } else if (name === 'model.decoder.layer_norm.bias') {
      each(0, 1, (value, column) => value + 0.5 * direction(column));
    }
  };
}

function writeSafetensors(path, tensors, half, change) {
  const size = half ? 2 : 4;
  const header = {};
  let offset = 0;
  for (const [name, shape] of Object.entries(tensors)) {
    const bytes = shape.reduce((product, one) => product * one, size);
    header[name] = { dtype: half ? 'F16' : 'F32', shape, data_offsets: [offset, offset + bytes] };
    offset += bytes;
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const file = openSync(path, 'w');
  writeSync(file, length);
  writeSync(file, json);
  let seed = 1;
  for (const [name, shape] of Object.entries(tensors)) {
    const count = shape.reduce((product, one) => product * one, 1);
    const isNorm = /norm\d?\.weight$/i.test(name);
    const scale = shape.length === 1 ? 0.05 : 0.8 * shape.slice(1).reduce((product, one) => product * one, 1) ** -0.5;
    for (let done = 0; done < count; done += 1 << 22) {
      const values = new Float32Array(Math.min(1 << 22, count - done));
      fill(values, /embed/.test(name) ? 0.02 : scale, (seed++ * 2_654_435_761) | 0);
      if (isNorm) for (let i = 0; i < values.length; i++) values[i] += 1;
      change?.(name, values, done);
      const bytes = half ? toHalf(values) : values;
      writeSync(file, new Uint8Array(bytes.buffer));
    }
  }
  closeSync(file);
}

for (const { name, tensors, config, files, texts = {}, half = false, change } of MODELS) {
  if (only !== undefined && name !== only) continue;
  const place = join(dir, name);
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, 'config.json'), JSON.stringify(config, undefined, 2));
  for (const [file, from] of Object.entries(files)) {
    const source = join(shared, 'models', from);
    try {
      copyFileSync(source, join(place, file));
    } catch (error) {
      if (file === 'tokenizer.json') throw error;
    }
  }
  for (const [file, value] of Object.entries(texts)) {
    mkdirSync(join(place, file, '..'), { recursive: true });
    writeFileSync(join(place, file), JSON.stringify(value, undefined, 2));
  }
  writeSafetensors(join(place, 'model.safetensors'), tensors, half, change);
  console.log(name);
}
