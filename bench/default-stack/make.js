/**
 * Makes stand-ins of the default checkpoints in their true shapes, with random weights, as a directory in hub layout: what costs time
 * and memory is there, and nobody's weights are needed. Every weight is another number: the runtime shares equal ones.
 * Usage: node bench/default-stack/make.js --dir DIR [--only NAME] [--shared DIR]   (about 7.3 GB; of one model: 3.5, 1.5, 2.3)
 */
import { closeSync, copyFileSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { bertShapes, fillRandom, siglipShapes, whisperShapes } from '@heimdex/hub';
import { readOptions } from '../support/measure.js';

const { dir, shared, only } = readOptions({ dir: undefined, only: '' });
if (dir === undefined) throw new Error('--dir DIR: where the checkpoints go');

const MODELS = [
  {
    name: 'google/siglip-so400m-patch14-384',
    tensors: siglipShapes({ width: 1152, inner: 4304, layers: 27, vocabulary: 32_000, side: 384, patch: 14 }),
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
    tensors: whisperShapes({ width: 1024, layers: 24, vocabulary: 51_865, mels: 80 }),
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
    files: Object.fromEntries(
      ['generation_config.json', 'preprocessor_config.json', 'tokenizer.json', 'tokenizer_config.json'].map((file) => [
        file,
        `onnx-community/whisper-base_timestamped/${file}`,
      ]),
    ),
  },
  {
    name: 'BAAI/bge-m3',
    tensors: bertShapes({ width: 1024, inner: 4096, layers: 24, vocabulary: 250_002, positions: 8194, types: 1 }),
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
      fillRandom(values, /embed/.test(name) ? 0.02 : scale, (seed++ * 2_654_435_761) | 0);
      if (isNorm) for (let i = 0; i < values.length; i++) values[i] += 1;
      change?.(name, values, done);
      const bytes = half ? toHalf(values) : values;
      writeSync(file, new Uint8Array(bytes.buffer));
    }
  }
  closeSync(file);
}

for (const { name, tensors, config, files, texts = {}, half = false, change } of MODELS) {
  if (!name.includes(only)) continue;
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
