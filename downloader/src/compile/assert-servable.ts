/** What the server would reject at its start, by the model's small files. */
import {
  assertOwnConfig,
  assertOwnTokens,
  assertTokenVectors,
  type ConfiguredModel,
  defaultPrompt,
  isSlowTokenizer,
  POOLING_DIR,
  poolingModes,
  resampleFilter,
  type SentenceModule,
  textLimit,
  tokenIds,
  transformerSettings,
  unknownComponents,
} from '@heimdex/cache';
import { type JsonObject, objectAt } from '@heimdex/common';
import { cannotCompile, refusing, tokenizerAdvice } from './cannot-compile.js';
import { readObject, type SmallFiles } from './small-files.js';

/**
 * Throws DownloaderError CHECKPOINT_INVALID for a tokenizer.json with parts that the server does not read, and for a tokenizer that has none
 * and is not read from other files.
 */
export async function assertTokenizer(configured: ConfiguredModel, config: JsonObject, files: SmallFiles) {
  if (files.has('tokenizer.json')) {
    // Those of the other families are of one kind, and a plan reads no megabytes without need.
    const json = configured.family === 'sentence' ? await readObject(files, 'tokenizer.json') : undefined;
    const unknown = unknownComponents(json ?? {});
    if (unknown.length === 0) return;
    throw cannotCompile(configured, `its tokenizer.json has ${unknown.join(', ')}, which the server does not read`);
  }
  const settings = (await readObject(files, 'tokenizer_config.json')) ?? {};
  const name = settings.tokenizer_class ?? config.tokenizer_class;
  if (typeof name !== 'string' || name === '' || isSlowTokenizer(name)) return;
  throw cannotCompile(
    configured,
    `its tokenizer is a ${name}, and it has no tokenizer.json. ${tokenizerAdvice(configured.id)}`,
  );
}

/** Throws DownloaderError CHECKPOINT_INVALID for a SigLIP of which no file says what a text is padded with: its tower reads the padding. */
export async function assertPadding(configured: ConfiguredModel, files: SmallFiles): Promise<void> {
  if (configured.family !== 'siglip') return;
  const { pad_token: token } = (await readObject(files, 'tokenizer_config.json')) ?? {};
  if (token !== undefined && token !== null) return;
  const tokenizer = await readObject(files, 'tokenizer.json');
  const tooLarge = tokenizer === undefined && files.has('tokenizer.json');
  if (tooLarge || typeof objectAt(tokenizer ?? {}, 'padding').pad_id === 'number') return;
  throw cannotCompile(
    configured,
    'its tokenizer_config.json names no pad_token, and a SigLIP reads the padding of texts',
  );
}

/** Throws DownloaderError CHECKPOINT_INVALID for a fine-tune of Whisper with the generation_config.json of another vocabulary. */
export async function assertGeneration(configured: ConfiguredModel, files: SmallFiles): Promise<void> {
  // OpenAI's own are known, and a plan reads no megabytes without need.
  if (configured.family !== 'whisper' || configured.entry !== configured.id) return;
  const generation = await readObject(files, 'generation_config.json');
  if (generation === undefined) return;
  const tokenizer = (await readObject(files, 'tokenizer.json')) ?? {};
  refusing(configured, () => assertOwnTokens(generation, tokenIds(tokenizer)));
}

/** Throws DownloaderError CHECKPOINT_INVALID for settings of a sentence embedder's tokens and their vectors that the server does not know. */
export async function assertTokenSettings(configured: ConfiguredModel, files: SmallFiles): Promise<void> {
  const settings = await transformerSettings((name) => readObject(files, name));
  refusing(configured, () => {
    assertOwnConfig(settings);
    assertTokenVectors(settings);
    textLimit(settings);
  });
}

/** Throws DownloaderError CHECKPOINT_INVALID for a pooling whose file is missing, or that the server does not know. */
export async function assertPooling(
  configured: ConfiguredModel,
  modules: readonly SentenceModule[],
  files: SmallFiles,
): Promise<void> {
  if (!modules.some(({ type }) => type === 'Pooling')) return;
  const path = `${POOLING_DIR}/config.json`;
  const config = await readObject(files, path);
  if (config === undefined) throw cannotCompile(configured, `its modules.json names Pooling, which needs ${path}`);
  refusing(configured, () => poolingModes(config));
  const defaults = (await readObject(files, 'config_sentence_transformers.json')) ?? {};
  if (config.include_prompt === false && defaultPrompt(defaults) !== '')
    throw cannotCompile(configured, `include_prompt of its ${path} is false, and it has a default prompt`);
}

/** Throws DownloaderError CHECKPOINT_INVALID if the model's inputs are prepared for another size than config.json has, or by an unknown filter. */
export async function assertPreprocessor(configured: ConfiguredModel, config: JsonObject, files: SmallFiles) {
  const preprocessor = await readObject(files, 'preprocessor_config.json');
  if (configured.family === 'whisper') {
    const { num_mel_bins: bands = 80 } = config;
    const { feature_size: prepared = bands } = preprocessor ?? {};
    if (prepared !== bands) throw differ(configured, 'feature_size', prepared, 'num_mel_bins', bands);
  }
  if (configured.family === 'siglip') {
    const { image_size: side = 224 } = objectAt(config, 'vision_config');
    // transformers 5 writes one file for images and texts.
    const images =
      preprocessor ?? objectAt((await readObject(files, 'processor_config.json')) ?? {}, 'image_processor');
    refusing(configured, () => resampleFilter(images));
    for (const [name, prepared] of preparedSizes(images))
      if (prepared !== side) throw differ(configured, name, prepared, 'vision_config.image_size', side);
  }
}

/** The sizes of prepared images, with their names. */
function preparedSizes(images: JsonObject): readonly (readonly [string, number])[] {
  const key = objectAt(images, 'size').shortest_edge === undefined ? 'size' : 'crop_size';
  const { [key]: size } = images;
  const { width, height } = objectAt(images, key);
  const sizes: readonly (readonly [string, unknown])[] = [
    [key, size],
    [`${key}.width`, width],
    [`${key}.height`, height],
  ];
  return sizes.flatMap(([name, value]) => (typeof value === 'number' ? [[name, value] as const] : []));
}

function differ(configured: ConfiguredModel, name: string, prepared: unknown, other: string, size: unknown) {
  return cannotCompile(
    configured,
    `${name} of its preprocessor is ${JSON.stringify(prepared)}, and ${other} of its config.json is ${JSON.stringify(size)}`,
  );
}
