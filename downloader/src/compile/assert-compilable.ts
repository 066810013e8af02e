import {
  COMPILABLE_FAMILIES,
  type ConfiguredModel,
  DENSE_DIR,
  DENSE_FORMS,
  POOLING_DIR,
  poolingModes,
  SENTENCE_MODULES,
  type SentenceModule,
  sentenceModules,
} from '@heimdex/cache';
import type { JsonObject } from '@heimdex/common';
import type { CompileOptions } from '@heimdex/compiler';
import {
  assertGeneration,
  assertPadding,
  assertPooling,
  assertPreprocessor,
  assertTokenizer,
  assertTokenSettings,
} from './assert-servable.js';
import { cannotCompile, refusing } from './cannot-compile.js';
import { readObject, type SmallFiles } from './small-files.js';

/** The network of a checkpoint, and the layer behind a sentence embedder's pooling. */
export interface CompilableConfig {
  readonly config: JsonObject;
  readonly dense: Omit<NonNullable<CompileOptions['dense']>, 'checkpoint'> | undefined;
}

/**
 * Rejects a checkpoint that cannot be compiled for its role, by its small files, before gigabytes are fetched: another architecture
 * or head, values of config.json, modules, a tokenizer or preprocessor that the server cannot use. Returns what the compiler needs
 * of these files. Throws DownloaderError CHECKPOINT_INVALID with what it has and what is supported; errors of the source.
 */
export async function assertCompilable(configured: ConfiguredModel, files: SmallFiles): Promise<CompilableConfig> {
  const found = await readObject(files, 'config.json');
  if (found === undefined && files.has('config.json'))
    throw cannotCompile(configured, 'its config.json is no JSON object of a few kilobytes');
  const config = found ?? {};
  const modules = configured.family === 'sentence' ? await readModules(configured, files) : [];
  // Before the network: a repository of other modules has none.
  assertModules(configured, modules);
  assertModelType(configured, config);
  // Whose vectors are pooled has no use for a head.
  if (!modules.some(({ type }) => type === 'Pooling')) assertHead(configured, config);
  const dense = await assertValues(configured, config, modules, files);
  await assertPooling(configured, modules, files);
  if (configured.family === 'sentence') await assertTokenSettings(configured, files);
  await assertTokenizer(configured, config, files);
  await assertPadding(configured, files);
  await assertPreprocessor(configured, config, files);
  await assertGeneration(configured, files);
  return { config, dense };
}

function assertModelType(configured: ConfiguredModel, { model_type: type }: JsonObject): void {
  const known = COMPILABLE_FAMILIES[configured.family] ?? [];
  if (typeof type === 'string' && known.includes(type)) return;
  const naflex =
    type === 'siglip2' ? '. SigLIP 2 models can be compiled only with a fixed image size, not the naflex variants' : '';
  throw cannotCompile(
    configured,
    `${configured.variable} requires model_type ${known.join(' or ')} in config.json, got ${JSON.stringify(type) ?? 'nothing'}${naflex}`,
  );
}

/** Networks with a head for another task, by the class in `architectures` of config.json. */
const OTHER_TASKS: readonly (readonly [RegExp, string])[] = [
  [/ForSequenceClassification$/, 'a classifier or a reranker (cross-encoder)'],
  [/ForTokenClassification$/, 'a classifier of tokens'],
  [/For(QuestionAnswering|MultipleChoice|NextSentencePrediction)$/, 'a model that answers questions'],
  [/ForAudioClassification$/, 'a classifier of audio'],
  [/ForImageClassification$/, 'a classifier of images'],
  [/ColBERT/i, 'a ColBERT, with a vector for each token'],
];

function assertHead(configured: ConfiguredModel, { architectures }: JsonObject): void {
  for (const name of Array.isArray(architectures) ? architectures.map(String) : []) {
    const [, what] = OTHER_TASKS.find(([pattern]) => pattern.test(name)) ?? [];
    if (what !== undefined) throw cannotCompile(configured, `by its config.json it is ${what}: ${name}`);
  }
}

/** What sentence-transformers does after the network: the server pools and normalizes, and a Dense is compiled. */
function assertModules(configured: ConfiguredModel, modules: readonly SentenceModule[]): void {
  const denseAt = denseIndex(modules);
  const unknown = modules.flatMap(({ type, path }, at) => {
    // Vectors are normalized last.
    const later =
      type === 'Normalize' ? modules.slice(at).find((one) => /^(Pooling|Dense)$/.test(one.type)) : undefined;
    if (later !== undefined) return [`Normalize before ${later.type}`];
    if (type === 'Pooling' && (path || POOLING_DIR) !== POOLING_DIR) return [`a Pooling in ${path}`];
    if (type === 'Dense' && at !== denseAt) return [`a Dense in ${path}`];
    return SENTENCE_MODULES.includes(type) || at === denseAt ? [] : [type || 'one without a type'];
  });
  if (unknown.length === 0) return;
  throw cannotCompile(
    configured,
    `${configured.variable} supports the modules ${SENTENCE_MODULES.join(', ')} and a Dense in ${DENSE_DIR} of modules.json, and it has ${unknown.join(', ')} too`,
    ', or an ONNX export of it with the output sentence_embedding',
  );
}

function denseIndex(modules: readonly SentenceModule[]): number {
  return modules.findIndex(({ type, path }) => type === 'Dense' && path === DENSE_DIR);
}

async function readModules(configured: ConfiguredModel, files: SmallFiles): Promise<readonly SentenceModule[]> {
  if (!files.has('modules.json')) return [];
  const modules = sentenceModules(await files.read('modules.json'));
  if (modules === undefined) throw cannotCompile(configured, 'its modules.json is not a list');
  return modules;
}

/** Throws for values that the compiler would reject; returns the layer behind the pooling. */
async function assertValues(
  configured: ConfiguredModel,
  config: JsonObject,
  modules: readonly SentenceModule[],
  files: SmallFiles,
): Promise<CompilableConfig['dense']> {
  const layer = denseIndex(modules) < 0 ? undefined : await readDenseFiles(configured, files);
  // A run without checkpoints does not need the compiler.
  const { assertConfig } = await import('@heimdex/compiler');
  return refusing(configured, () => {
    const dense = layer && { config: layer.config, pooling: poolingModes(layer.pooling) };
    assertConfig(config, dense);
    return dense;
  });
}

async function readDenseFiles(configured: ConfiguredModel, files: SmallFiles) {
  const config = await readObject(files, `${DENSE_DIR}/config.json`);
  const pooling = await readObject(files, `${POOLING_DIR}/config.json`);
  if (config !== undefined && pooling !== undefined && DENSE_FORMS.some(files.has)) return { config, pooling };
  const needed = `${POOLING_DIR}/config.json, ${DENSE_DIR}/config.json and ${DENSE_FORMS.join(' or ')}`;
  throw cannotCompile(configured, `its modules.json names Dense, which needs ${needed}`);
}
