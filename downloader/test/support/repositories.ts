import { createCipheriv, createHash } from 'node:crypto';
import type { HubRepository } from '@heimdex/hub';

/** Bytes that look like weights: the same for the same seed, not compressible, no two parts alike. */
export function seededBytes(sizeBytes: number, seed: string): Buffer {
  const key = createHash('sha256').update(seed).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes));
}

export const SPEECH_REPOSITORY = 'acme/speech';
export const ENCODER = 'onnx/encoder_model_quantized.onnx';
export const DECODER = 'onnx/decoder_model_merged_quantized.onnx';

/** A repository with the file layout of the Whisper exports, which ASR_MODEL takes by its name alone. */
export function speechRepository(
  options: { readonly seed?: string; readonly encoderBytes?: number } = {},
): HubRepository {
  const { seed = 'one', encoderBytes = 700_000 } = options;
  return {
    name: SPEECH_REPOSITORY,
    files: [
      { path: 'config.json', bytes: `{"seed":"${seed}"}` },
      { path: 'generation_config.json', bytes: '{}' },
      { path: 'preprocessor_config.json', bytes: '{"feature_size":80}' },
      { path: 'tokenizer.json', bytes: seededBytes(50_000, `tokenizer ${seed}`).toString('base64') },
      { path: 'tokenizer_config.json', bytes: '{"model_max_length":448}' },
      { path: ENCODER, bytes: seededBytes(encoderBytes, `encoder ${seed}`) },
      { path: DECODER, bytes: seededBytes(400_000, `decoder ${seed}`) },
      { path: 'README.md', bytes: '# not needed' },
    ],
  };
}

/** A face detector, which is a plain file in the cache. */
export const FACES_REPOSITORY: HubRepository = {
  name: 'opencv/face_detection_yunet',
  files: [{ path: 'face_detection_yunet_2023mar.onnx', bytes: 'not the real one' }],
};

/** A manifest with one model of faces: a plain file that is not in LFS, faces.bin of acme/faces. */
export const PLAIN_FACES_MANIFEST = {
  formatVersion: 1,
  models: [
    {
      name: 'acme/faces',
      role: 'faces',
      family: 'yunet',
      layout: 'plain',
      sources: [{ type: 'hf', repository: 'acme/faces' }],
      files: [],
      variants: { fp32: [{ path: 'faces.bin', weights: 'model' }] },
      defaultVariant: 'fp32',
    },
  ],
};
