/** Resolves the environment's names to files and sources. */
import { CacheError } from './errors.js';
import { isRepositoryName } from './layout.js';
import type { ConfiguredModel, Family, Manifest, ManifestEntry, Precision, Role } from './manifest-types.js';
import { type ModelEnvironment, NO_MODEL } from './model-environment.js';
import { didYouMean } from './nearest-word.js';

/** The detector enabled by FEATURE_VAD; the only one. */
const VAD_MODEL = 'snakers4/silero-vad';

/** Half the bytes, and fast on GPUs. For `auto` it is unknown before the server runs whether there is a GPU. */
const GPU_VARIANT = 'fp16';

/** The variable that names or enables a role's model. */
const ROLE_VARIABLES = {
  speech: 'ASR_MODEL',
  vision: 'VISION_MODEL_NAME',
  text: 'TEXT_MODEL_NAME',
  faces: 'FACE_MODEL_NAME',
  vad: 'FEATURE_VAD',
} as const satisfies Record<Role, string>;

/**
 * Resolves the configured models in the order speech, vision, text, faces, vad. Throws MANIFEST_INVALID; MODEL_UNKNOWN
 * with every unknown name and the names known for its variable.
 */
export function resolveModels(environment: ModelEnvironment): ConfiguredModel[] {
  const manifest = environment.manifest();
  const wanted: [Role, string][] = [];
  if (environment.asrModel !== undefined) wanted.push(['speech', environment.asrModel]);
  if (environment.visionModelName !== undefined) wanted.push(['vision', environment.visionModelName]);
  if (environment.loadBgeM3) wanted.push(['text', environment.textModelName]);
  if (environment.featureFace) wanted.push(['faces', environment.faceModelName]);
  if (environment.featureVad && environment.asrModel !== undefined) wanted.push(['vad', VAD_MODEL]);

  const models: ConfiguredModel[] = [];
  const unknown: CacheError[] = [];
  for (const [role, name] of wanted) {
    try {
      models.push(resolveModel(manifest, role, name, environment.device === 'cuda' ? GPU_VARIANT : undefined));
    } catch (error) {
      if (!(error instanceof CacheError) || error.code !== 'MODEL_UNKNOWN') throw error;
      unknown.push(error);
    }
  }
  const [first, ...others] = unknown;
  if (first === undefined) return models;
  if (others.length === 0) throw first;
  const problems = unknown.map((error) => error.message);
  throw new CacheError('MODEL_UNKNOWN', problems.join('\n'), { problems, variable: first.variable });
}

/**
 * Resolves one model by its name: a manifest name, an alias, or `org/name` if the role has a default layout. A variant may follow
 * a colon, which no repository name contains: `base:fp32`. Without one it is `preferred` if the model has that variant, else
 * the model's default. Throws MODEL_UNKNOWN with the known names.
 */
export function resolveModel(manifest: Manifest, role: Role, name: string, preferred?: string): ConfiguredModel {
  const { base, variant: given } = splitVariant(name);
  const entry = findEntry(manifest, role, base);
  const entries = entry === undefined ? deriveEntries(manifest, role, base) : [entry];
  const variant = given === undefined ? undefined : knownVariant(entries, given);
  if (entries.length === 0) throw unknownModel(manifest, role, name);
  const meant = entry === undefined ? suggestion(manifest, role, name) : '';
  const fitting = entries.filter(({ variants }) => variant === undefined || Object.hasOwn(variants, variant));
  const [first, second] = fitting.map((one) => ({
    ...configure(one, name, variant, preferred),
    ...(meant === '' ? {} : { suggestion: meant }),
  }));
  if (first === undefined) throw unknownVariant(role, entries, name, variant ?? '');
  return second === undefined ? first : { ...first, otherwise: second };
}

function configure(
  entry: ManifestEntry,
  name: string,
  variant: string | undefined,
  preferred: string | undefined,
): ConfiguredModel {
  const usual = preferred !== undefined && Object.hasOwn(entry.variants, preferred) ? preferred : entry.defaultVariant;
  const chosen = variant ?? usual;
  const { role, family, id, layout, dir, sources } = entry;
  const checkpoints = sources.flatMap((one) => (one.type === 'url' ? one.files : []));
  return {
    role,
    family,
    name,
    variable: ROLE_VARIABLES[role],
    entry: entry.name,
    id,
    variant: chosen,
    layout,
    dir,
    // A compiled model's url sources are checkpoints; the other files come from the hub.
    sources: entry.compiled ? sources.filter(({ type }) => type === 'hf') : sources,
    files: entry.variants[chosen] ?? [],
    // The variants of a compiled file set are precisions.
    ...(entry.compiled && { compile: { precision: chosen as Precision, checkpoints } }),
  };
}

/** Returns one name per model: the first alias, else the manifest's name; for --help and for messages. */
export function knownNames(manifest: Manifest, role: Role): string[] {
  const entries = manifest.entries.filter((entry) => entry.role === role);
  return [...new Set(entries.map((entry) => entry.aliases[0] ?? entry.name))];
}

function splitVariant(name: string): { base: string; variant: string | undefined } {
  const at = name.indexOf(':');
  return at < 0 ? { base: name, variant: undefined } : { base: name.slice(0, at), variant: name.slice(at + 1) };
}

/** In any case, as names are. */
function knownVariant(entries: readonly ManifestEntry[], given: string): string {
  const words = entries.flatMap(({ variants }) => Object.keys(variants));
  if (words.includes(given)) return given;
  return words.find((word) => word.toLowerCase() === given.toLowerCase()) ?? given;
}

function findEntry(manifest: Manifest, role: Role, name: string): ManifestEntry | undefined {
  const word = name.toLowerCase();
  const mine = manifest.entries.filter((entry) => entry.role === role);
  return (
    mine.find((entry) => entry.name.toLowerCase() === word) ??
    mine.find((entry) => entry.aliases.some((alias) => alias.toLowerCase() === word))
  );
}

/** Layouts assumed for a repository outside the manifest: an export of its kind, or a checkpoint. */
interface Assumption {
  readonly repository: RegExp;
  readonly family: Family;
  /** In this order, whichever the repository has the files of. */
  readonly fileSets: readonly string[];
}

const ASSUMED: Partial<Record<Role, readonly Assumption[]>> = {
  speech: [
    { repository: /moonshine/i, family: 'moonshine', fileSets: ['moonshine'] },
    { repository: /./, family: 'whisper', fileSets: ['whisper', 'whisper-checkpoint'] },
  ],
  vision: [{ repository: /./, family: 'siglip', fileSets: ['siglip', 'siglip-checkpoint'] }],
  text: [{ repository: /./, family: 'sentence', fileSets: ['sentence', 'sentence-checkpoint'] }],
};

function deriveEntries(manifest: Manifest, role: Role, name: string): readonly ManifestEntry[] {
  const assumed = ASSUMED[role]?.find(({ repository }) => repository.test(name));
  if (assumed === undefined || !name.includes('/') || !isRepositoryName(name)) return [];
  return assumed.fileSets.flatMap((fileSet) => {
    const set = manifest.fileSets.get(fileSet);
    if (set === undefined) return [];
    const sources = [{ type: 'hf', repository: name, revision: 'main' }] as const;
    return [
      { ...set, name, role, family: assumed.family, aliases: [], layout: 'snapshot', id: name, dir: '', sources },
    ];
  });
}

function unknownModel(manifest: Manifest, role: Role, name: string): CacheError {
  const variable = ROLE_VARIABLES[role];
  const org =
    ASSUMED[role] === undefined
      ? ''
      : ', or org/name of a repository with a checkpoint or an ONNX export of such a model';
  return new CacheError(
    'MODEL_UNKNOWN',
    `${variable} must be one of ${knownNames(manifest, role).join(', ')}${org}; got "${name}"${suggestion(manifest, role, name)}`,
    { role, variable },
  );
}

/** Suggests the intended name of a misspelt one, without its variant. */
function suggestion(manifest: Manifest, role: Role, name: string): string {
  const entries = manifest.entries.filter((entry) => entry.role === role);
  const names = [...entries.flatMap((entry) => entry.aliases), ...entries.map((entry) => entry.name)];
  // Speech and vision can be disabled by a name too.
  const off = role === 'speech' || role === 'vision' ? [NO_MODEL] : [];
  const { base } = splitVariant(name);
  const meant = repositoryIn(name) ?? names.find((known) => known.toLowerCase().endsWith(`/${base.toLowerCase()}`));
  return meant === undefined ? didYouMean(base, [...names, ...off]) : `; did you mean "${meant}"?`;
}

/** The org/name in the address of a repository's page, with or without its scheme. */
function repositoryIn(address: string): string | undefined {
  const [, path = ''] = /^(?:hf:\/\/|(?:https?:\/\/[^/]+|[\w-]+(?:\.[\w-]+)+)\/)(.+)$/i.exec(address) ?? [];
  const repository = path.split('/').slice(0, 2).join('/');
  return repository.includes('/') && isRepositoryName(repository) ? repository : undefined;
}

function unknownVariant(role: Role, entries: readonly ManifestEntry[], name: string, variant: string): CacheError {
  const variable = ROLE_VARIABLES[role];
  const [entry] = entries;
  const named = entries.flatMap((one) => Object.keys(one.variants).map((word) => `${one.name}:${word}`));
  // Two layouts of a name have variants of the same names.
  const known = [...new Set(named)];
  const aliased = entries.flatMap((one) =>
    one.aliases.flatMap((alias) => Object.keys(one.variants).map((word) => `${alias}:${word}`)),
  );
  return new CacheError(
    'MODEL_UNKNOWN',
    `${variable}: ${entry?.name} has no variant "${variant}" (got "${name}"); it has ${known.join(', ')}${didYouMean(name, [...known, ...aliased])}`,
    { role, variable, model: entry?.id },
  );
}
