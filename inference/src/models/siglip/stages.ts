import { isObject, type JsonObject, numberAt, stringAt } from '../../json.js';

/** Pillow's filter numbers by the names used in a list of stages. */
const FILTER_NUMBERS: Readonly<Record<string, number>> = { lanczos: 1, bilinear: 2, bicubic: 3, box: 4, hamming: 5 };

/**
 * Converts the stages of a preprocessor.json (`convert_rgb`, `resize`, `to_tensor`, `rescale`, `normalize`) to the form
 * of preprocessor_config.json. Used by deepghs/siglip_onnx, the export of google/siglip-so400m-patch14-384. Throws for
 * an unknown stage and for a resize that keeps the aspect ratio. Format: dghs-imgutils, `create_pillow_transforms`.
 */
export function configFromStages(file: JsonObject): JsonObject {
  if (!Array.isArray(file.stages)) throw new Error('Expected preprocessor.json to list its stages.');
  let config: JsonObject = { do_rescale: false, do_normalize: false };
  for (const stage of file.stages.filter(isObject)) config = { ...config, ...wordsOf(stage, config) };
  return config;
}

function wordsOf(stage: JsonObject, before: JsonObject): JsonObject {
  const type = stringAt(stage, 'type') ?? '';
  switch (type) {
    case 'convert_rgb':
      return {};
    case 'resize':
      return resizing(stage);
    case 'to_tensor':
    case 'maybe_to_tensor':
      return { do_rescale: true, rescale_factor: 1 / 255 };
    case 'rescale':
      // This follows to_tensor, which has already divided bytes by 255.
      return {
        do_rescale: true,
        rescale_factor: (numberAt(before, 'rescale_factor') ?? 1) * (numberAt(stage, 'rescale_factor') ?? 1 / 255),
      };
    case 'normalize':
      return { do_normalize: true, image_mean: three(stage.mean), image_std: three(stage.std) };
    default:
      throw new Error(
        `Expected the stages of preprocessor.json to be convert_rgb, resize, to_tensor, rescale and normalize, got ${type || 'one without a type'}.`,
      );
  }
}

function resizing(stage: JsonObject): JsonObject {
  const [height, width] = Array.isArray(stage.size) ? stage.size : [];
  if (typeof height !== 'number' || typeof width !== 'number') {
    throw new Error(
      `Expected the stage resize of preprocessor.json to give height and width, got ${JSON.stringify(stage.size)}.`,
    );
  }
  const { interpolation = 'bilinear' } = stage;
  const resample = typeof interpolation === 'string' ? (FILTER_NUMBERS[interpolation] ?? interpolation) : interpolation;
  if (typeof resample !== 'number') {
    throw new Error(
      `Expected interpolation to be one of ${Object.keys(FILTER_NUMBERS).join(', ')} in preprocessor.json, got ${JSON.stringify(interpolation)}.`,
    );
  }
  return { size: { height, width }, resample };
}

/** A single number applies to all channels. */
function three(value: unknown): unknown {
  if (typeof value === 'number') return [value, value, value];
  return Array.isArray(value) && value.length === 1 ? [value[0], value[0], value[0]] : value;
}
