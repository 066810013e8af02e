import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  bertShapes,
  type HubFile,
  type HubRepository,
  type NamedTensor,
  randomTensors,
  safetensorsFile,
  shardedSafetensors,
  torchFile,
  whisperShapes,
} from '@heimdex/hub';

/** A small BERT's repository, as fine-tunes of it are published. Its weights are random. */
export function bertRepository(
  options: {
    readonly name?: string;
    readonly seed?: number;
    readonly layers?: number;
    readonly weights?: 'safetensors' | 'bin' | 'shards';
    /** Shapes of tensors that the network has not. */
    readonly head?: Readonly<Record<string, readonly number[]>>;
  } = {},
): HubRepository {
  const { name = 'acme/german-bert', seed = 1, layers = 1, weights = 'safetensors', head = {} } = options;
  const size = { width: 64, inner: 128, layers, vocabulary: 500, positions: 64, types: 2 };
  const tensors = randomTensors({ ...bertShapes(size, { pooler: true }), ...head }, seed);
  const files: Record<typeof weights, () => readonly HubFile[]> = {
    safetensors: () => [{ path: 'model.safetensors', bytes: safetensorsFile(tensors) }],
    bin: () => [{ path: 'pytorch_model.bin', bytes: torchFile(tensors) }],
    shards: () => shardedSafetensors(tensors, 3),
  };
  const config = {
    model_type: 'bert',
    hidden_size: 64,
    intermediate_size: 128,
    num_hidden_layers: layers,
    num_attention_heads: 4,
    vocab_size: 500,
    max_position_embeddings: 64,
    type_vocab_size: 2,
  };
  return {
    name,
    files: [
      { path: 'config.json', bytes: JSON.stringify(config) },
      { path: 'tokenizer.json', bytes: '{"for": "tests"}' },
      { path: 'README.md', bytes: '# not needed' },
      ...files[weights](),
    ],
  };
}

const WHISPER = whisperShapes({ width: 32, layers: 1, vocabulary: 120, mels: 80 });

/** `dims` of OpenAI's file of the small Whisper. */
export function whisperDims() {
  return {
    n_mels: 80,
    n_audio_ctx: 1500,
    n_audio_state: 32,
    n_audio_head: 2,
    n_audio_layer: 1,
    n_vocab: 120,
    n_text_ctx: 448,
    n_text_state: 32,
    n_text_head: 2,
    n_text_layer: 1,
  };
}

/** Weights of the small Whisper in half precision, which OpenAI's files are in. */
export function whisperHalves(): readonly NamedTensor[] {
  const bits = new DataView(new ArrayBuffer(4));
  return randomTensors(WHISPER, 3).map(({ values, ...tensor }) => ({
    ...tensor,
    values: Uint16Array.from(values, (value) => {
      bits.setFloat32(0, value);
      const all = bits.getUint32(0);
      const exponent = ((all >>> 23) & 0xff) - 112;
      return exponent <= 0 ? 0 : ((all >>> 16) & 0x8000) | (exponent << 10) | ((all >>> 13) & 0x3ff);
    }),
  }));
}

/** A small Whisper: its small files, its weights in safetensors, and the same weights as OpenAI's own file. */
export function whisperCheckpoint() {
  const tensors = randomTensors(WHISPER, 3);
  const dims = whisperDims();
  const config = {
    model_type: 'whisper',
    d_model: 32,
    encoder_layers: 1,
    decoder_layers: 1,
    encoder_attention_heads: 2,
    decoder_attention_heads: 2,
    encoder_ffn_dim: 128,
    decoder_ffn_dim: 128,
    vocab_size: 120,
    num_mel_bins: 80,
  };
  const small: HubFile[] = [
    { path: 'config.json', bytes: JSON.stringify(config) },
    { path: 'tokenizer.json', bytes: '{"for": "tests"}' },
  ];
  const pt = torchFile(tensors, dims);
  return { small, safetensors: safetensorsFile(tensors), pt, sha256: createHash('sha256').update(pt).digest('hex') };
}

/** A manifest with an entry as the built-in ones of OpenAI's models are: a repository, and a file at an address of its own. */
export async function writeWhisperManifest(dir: string, sha256: string): Promise<string> {
  const path = join(dir, 'models.json');
  const url = `https://openai.invalid/whisper/${sha256}/tiny-test.pt`;
  const entry = {
    name: 'acme/whisper-test',
    role: 'speech',
    family: 'whisper',
    aliases: ['tiny-test'],
    fileSet: 'whisper-checkpoint',
    sources: [
      { type: 'hf', repository: 'acme/whisper-test' },
      { type: 'url', files: [{ path: 'whisper/tiny-test.pt', url, sha256 }] },
    ],
  };
  await writeFile(path, JSON.stringify({ formatVersion: 1, models: [entry] }));
  return path;
}
