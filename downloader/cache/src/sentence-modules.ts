/** What sentence-transformers does with the token vectors of a network, as its files describe it. */
import { asObject, type JsonObject, objectAt } from '@heimdex/common';

/** Modules that are supported, by the last part of their types in modules.json. */
export const SENTENCE_MODULES: readonly string[] = ['Transformer', 'Pooling', 'Normalize', 'Dropout'];

/** The directory of the `Pooling` module. */
export const POOLING_DIR = '1_Pooling';

/** The directory of a layer behind the pooling, a `Dense` module; compiled into the graph, so only of checkpoints. */
export const DENSE_DIR = '2_Dense';

/**
 * Pooling modes, with the key of sentence-transformers' Pooling that enables each, in that module's order of
 * concatenation.
 */
const POOLING_MODES = {
  cls: 'pooling_mode_cls_token',
  max: 'pooling_mode_max_tokens',
  mean: 'pooling_mode_mean_tokens',
  mean_sqrt_len_tokens: 'pooling_mode_mean_sqrt_len_tokens',
  weightedmean: 'pooling_mode_weightedmean_tokens',
  lasttoken: 'pooling_mode_lasttoken',
} as const;
export type PoolingMode = keyof typeof POOLING_MODES;

/**
 * The modes of a pooling's config.json: a flag for each, or a name or a list of names, as current versions of sentence-transformers write;
 * where no flag is set, the mean, as they take it. Throws an Error for an unknown name, or none in a list.
 */
export function poolingModes(config: JsonObject): readonly PoolingMode[] {
  const flagged = Object.entries(POOLING_MODES).flatMap(([mode, flag]) => (config[flag] === true ? [mode] : []));
  const names = [config.pooling_mode ?? (flagged.length > 0 ? flagged : 'mean')].flat().map(String);
  const modes = names.filter((name): name is PoolingMode => Object.hasOwn(POOLING_MODES, name));
  if (modes.length === 0 || modes.length < names.length) {
    throw new Error(
      `Expected a pooling of ${Object.keys(POOLING_MODES).join(', ')}, got ${names.join(', ') || 'none'}.`,
    );
  }
  return modes;
}

/** A module of modules.json. */
export interface SentenceModule {
  /** The last part of its type, since the packages before it have changed; the whole type of a module of the repository's own code. */
  readonly type: string;
  /** Its directory, without a slash at the end; empty for the repository's own. */
  readonly path: string;
}

/** The modules in the value of modules.json; undefined if it is no list. */
export function sentenceModules(value: unknown): readonly SentenceModule[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.map((module: { readonly type?: unknown; readonly path?: unknown } | null) => {
    const type = String(module?.type ?? '');
    return {
      type: type.startsWith('sentence_transformers.') ? (type.split('.').at(-1) ?? '') : type,
      path: String(module?.path ?? '').replace(/\/$/, ''),
    };
  });
}

/** The prompt that is put before texts if a caller names none, by config_sentence_transformers.json; often empty. */
export function defaultPrompt(config: JsonObject): string {
  const name = config.default_prompt_name;
  const prompts = objectAt(config, 'prompts');
  const prompt = typeof name === 'string' && Object.hasOwn(prompts, name) ? prompts[name] : undefined;
  return typeof prompt === 'string' ? prompt : '';
}

/** Where the settings of the `Transformer` module are, in sentence-transformers' order: the later names are of its first versions. */
export const TRANSFORMER_FILES: readonly string[] = [
  'sentence_bert_config.json',
  'sentence_roberta_config.json',
  'sentence_distilbert_config.json',
  'sentence_camembert_config.json',
  'sentence_albert_config.json',
  'sentence_xlm-roberta_config.json',
  'sentence_xlnet_config.json',
];

/** The settings of the `Transformer` module: the first file that has any; empty if none has. `read` returns undefined if there is no such file. */
export async function transformerSettings(
  read: (name: string) => Promise<JsonObject | undefined>,
): Promise<JsonObject> {
  for (const name of TRANSFORMER_FILES) {
    const settings = (await read(name)) ?? {};
    if (Object.keys(settings).length > 0) return settings;
  }
  return {};
}

/** Throws an Error for a `Transformer` module that gives anything but its last token vectors, such as BERT's pooler. */
export function assertTokenVectors(settings: JsonObject): void {
  const { method_output_name: output } = objectAt(objectAt(settings, 'modality_config'), 'text');
  for (const [name, value, expected] of [
    ['modality_config.text.method_output_name', output, 'last_hidden_state'],
    ['module_output_name', settings.module_output_name, 'token_embeddings'],
  ] as const) {
    if ((value ?? expected) !== expected)
      throw new Error(`Expected ${name} of ${TRANSFORMER_FILES[0]} to be ${expected}, got ${JSON.stringify(value)}.`);
  }
}

/** Arguments of loading a config.json that do not change the network: sentence-transformers sets all but the last itself. */
const ABOUT_LOADING = [
  'subfolder',
  'token',
  'cache_dir',
  'revision',
  'local_files_only',
  'trust_remote_code',
  'use_cache',
];

/** Throws an Error for a `Transformer` module that replaces values of config.json (`config_args` in files of earlier versions). */
export function assertOwnConfig(settings: JsonObject): void {
  const key = settings.config_args === undefined ? 'config_kwargs' : 'config_args';
  const names = Object.keys(objectAt(settings, key)).filter((name) => !ABOUT_LOADING.includes(name));
  if (names.length === 0) return;
  throw new Error(
    `Expected ${TRANSFORMER_FILES[0]} to replace nothing of config.json, got ${key} with ${names.join(', ')}. Write them into config.json.`,
  );
}

/** Settings of the `Transformer` module that replace those of tokenizer_config.json; `tokenizer_args` in files of earlier versions. */
export function tokenizerSettings(settings: JsonObject): JsonObject {
  return asObject(settings.tokenizer_args ?? settings.processor_kwargs);
}

/** Arguments of the tokenizer's calls that change neither a text's tokens nor their number. */
const ABOUT_BATCHES = [
  'padding',
  'pad_to_multiple_of',
  'return_tensors',
  'return_attention_mask',
  'return_token_type_ids',
];

/**
 * The most tokens of a text by the settings of the `Transformer` module: Infinity if texts are not cut, undefined if they do not say.
 * Arguments of the tokenizer's calls (`processing_kwargs`), as current versions save them, come before the older key. Throws an Error for
 * one that is not supported.
 */
export function textLimit(settings: JsonObject): number | undefined {
  const { model_max_length: older = settings.max_seq_length } = tokenizerSettings(settings);
  const given = objectAt(settings, 'processing_kwargs');
  const {
    max_length: limit = older,
    truncation = true,
    add_special_tokens: special = true,
    ...others
  }: JsonObject = { ...objectAt(given, 'text'), ...objectAt(given, 'common') };
  const unknown = Object.keys(others).filter((name) => !ABOUT_BATCHES.includes(name));
  if (special !== true) unknown.push(`add_special_tokens ${special}`);
  if (unknown.length > 0) {
    throw new Error(
      `Expected processing_kwargs of ${TRANSFORMER_FILES[0]} to have max_length and truncation, got ${unknown.join(', ')} too.`,
    );
  }
  if (truncation === false || truncation === 'do_not_truncate') return Number.POSITIVE_INFINITY;
  return typeof limit === 'number' && Number.isFinite(limit) ? limit : undefined;
}
