import { readFileSync } from 'node:fs';
import type { NamedTensor } from '@heimdex/hub';

/** Element types of model.bin that hold weights. Source: CTranslate2, include/ctranslate2/types.h. */
const FLOAT32 = 0;
const FLOAT16 = 4;

interface Variable {
  readonly shape: readonly number[];
  readonly values: NamedTensor['values'];
}

/** The variables of CTranslate2's model.bin, which may lie in parts. Source: CTranslate2, python/ctranslate2/specs/model_spec.py. */
function readVariables(paths: readonly string[]): ReadonlyMap<string, Variable> {
  const bytes = Buffer.concat(paths.map((path) => readFileSync(path)));
  let at = 0;
  const u32 = () => {
    at += 4;
    return bytes.readUInt32LE(at - 4);
  };
  const u8 = () => {
    at += 1;
    return bytes.readUInt8(at - 1);
  };
  const text = () => {
    const length = bytes.readUInt16LE(at);
    at += 2 + length;
    return bytes.toString('utf8', at - length, at - 1);
  };
  u32();
  text();
  u32();
  const variables = new Map<string, Variable>();
  for (let left = u32(); left > 0; left--) {
    const name = text();
    const shape = Array.from({ length: u8() }, u32);
    const type = u8();
    const length = u32();
    const own = new Uint8Array(bytes.subarray(at, at + length)).buffer;
    at += length;
    if (type === FLOAT16) variables.set(name, { shape, values: new Uint16Array(own) });
    else if (type === FLOAT32) variables.set(name, { shape, values: new Float32Array(own) });
  }
  return variables;
}

/** Whisper's tensors as transformers names them, of a model.bin in half precision. */
export function whisperTensors(paths: readonly string[]): readonly NamedTensor[] {
  const variables = readVariables(paths);
  const tensors: NamedTensor[] = [];
  const take = (name: string, from: string, rows?: readonly [number, number]): void => {
    const found = variables.get(from);
    if (found === undefined) throw new Error(`Expected ${from} in model.bin.`);
    const { shape, values } = found;
    const [first, count] = rows ?? [0, shape[0] ?? 0];
    const row = values.length / (shape[0] ?? 1);
    tensors.push({ name, shape: [count, ...shape.slice(1)], values: values.slice(first * row, (first + count) * row) });
  };
  const norm = (name: string, from: string): void => {
    take(`${name}.weight`, `${from}/gamma`);
    take(`${name}.bias`, `${from}/beta`);
  };
  const linear = (name: string, from: string): void => {
    take(`${name}.weight`, `${from}/weight`);
    take(`${name}.bias`, `${from}/bias`);
  };
  const width = variables.get('encoder/layer_norm/gamma')?.shape[0] ?? 0;
  /** Projections that CTranslate2 keeps as one. Keys have no bias. */
  const parted = (name: string, from: string, parts: readonly string[]): void => {
    parts.forEach((part, index) => {
      take(`${name}.${part}.weight`, `${from}/weight`, [index * width, width]);
      if (part !== 'k_proj') take(`${name}.${part}.bias`, `${from}/bias`, [index * width, width]);
    });
  };
  for (const conv of ['conv1', 'conv2']) linear(`model.encoder.${conv}`, `encoder/${conv}`);
  take('model.encoder.embed_positions.weight', 'encoder/position_encodings/encodings');
  take('model.decoder.embed_tokens.weight', 'decoder/embeddings/weight');
  take('model.decoder.embed_positions.weight', 'decoder/position_encodings/encodings');
  for (const half of ['encoder', 'decoder']) {
    norm(`model.${half}.layer_norm`, `${half}/layer_norm`);
    for (let index = 0; variables.has(`${half}/layer_${index}/ffn/linear_0/weight`); index++) {
      const name = `model.${half}.layers.${index}`;
      const from = `${half}/layer_${index}`;
      parted(`${name}.self_attn`, `${from}/self_attention/linear_0`, ['q_proj', 'k_proj', 'v_proj']);
      linear(`${name}.self_attn.out_proj`, `${from}/self_attention/linear_1`);
      norm(`${name}.self_attn_layer_norm`, `${from}/self_attention/layer_norm`);
      linear(`${name}.fc1`, `${from}/ffn/linear_0`);
      linear(`${name}.fc2`, `${from}/ffn/linear_1`);
      norm(`${name}.final_layer_norm`, `${from}/ffn/layer_norm`);
      if (half === 'encoder') continue;
      parted(`${name}.encoder_attn`, `${from}/attention/linear_0`, ['q_proj']);
      parted(`${name}.encoder_attn`, `${from}/attention/linear_1`, ['k_proj', 'v_proj']);
      linear(`${name}.encoder_attn.out_proj`, `${from}/attention/linear_2`);
      norm(`${name}.encoder_attn_layer_norm`, `${from}/attention/layer_norm`);
    }
  }
  return tensors;
}

/** Names of transformers and OpenAI's, in the order they are replaced. */
const OPENAI: readonly (readonly [RegExp, string])[] = [
  [/^model\./, ''],
  [/^encoder\.embed_positions\.weight$/, 'encoder.positional_embedding'],
  [/^decoder\.embed_positions\.weight$/, 'decoder.positional_embedding'],
  [/^decoder\.embed_tokens\./, 'decoder.token_embedding.'],
  [/^encoder\.layer_norm\./, 'encoder.ln_post.'],
  [/^decoder\.layer_norm\./, 'decoder.ln.'],
  [/\.layers\./, '.blocks.'],
  [/\.self_attn_layer_norm\./, '.attn_ln.'],
  [/\.encoder_attn_layer_norm\./, '.cross_attn_ln.'],
  [/\.final_layer_norm\./, '.mlp_ln.'],
  [/\.self_attn\./, '.attn.'],
  [/\.encoder_attn\./, '.cross_attn.'],
  [/\.q_proj\./, '.query.'],
  [/\.k_proj\./, '.key.'],
  [/\.v_proj\./, '.value.'],
  [/\.out_proj\./, '.out.'],
  [/\.fc1\./, '.mlp.0.'],
  [/\.fc2\./, '.mlp.2.'],
];

/** The same tensors by the names of OpenAI's .pt files. */
export function openAiTensors(tensors: readonly NamedTensor[]): readonly NamedTensor[] {
  return tensors.map((tensor) => ({
    ...tensor,
    name: OPENAI.reduce((name, [pattern, replacement]) => name.replace(pattern, replacement), tensor.name),
  }));
}
