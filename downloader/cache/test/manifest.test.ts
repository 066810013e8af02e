import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'chai';
import { builtInManifestPath, loadManifest, parseManifest, resolveModel, TRANSFORMER_FILES } from '../src/index.js';
import { cacheErrorOf } from './support/rejection.js';
import { useTempDir } from './support/temp-dir.js';

async function schema() {
  const text = await readFile(join(builtInManifestPath(), '..', 'models.schema.json'), 'utf8');
  return new Ajv2020({ strict: true, strictRequired: false, allErrors: true }).compile(JSON.parse(text));
}

const ENTRY = {
  name: 'me/mine',
  role: 'speech',
  family: 'whisper',
  sources: [{ type: 'hf', repository: 'me/mine' }],
  files: [{ path: 'config.json' }],
  variants: { q8: [{ path: 'onnx/encoder.onnx', weights: 'encoder' }] },
  defaultVariant: 'q8',
};

function manifestOf(change: object): string {
  return JSON.stringify({ formatVersion: 1, models: [{ ...ENTRY, ...change }] });
}

describe('manifest', () => {
  const dir = useTempDir();

  let validate: Awaited<ReturnType<typeof schema>> | undefined;
  before(async () => {
    validate = await schema();
  });

  it('is valid by its own schema', async () => {
    const valid = validate?.(JSON.parse(await readFile(builtInManifestPath(), 'utf8')));
    expect(validate?.errors ?? []).to.deep.equal([]);
    expect(valid).to.equal(true);
  });

  it('answers to every name and alias with exactly one model a role', () => {
    const { entries } = loadManifest();
    const names = entries.flatMap((entry) =>
      [entry.name, ...entry.aliases].map((name) => `${entry.role} ${name.toLowerCase()}`),
    );
    expect(names.filter((name, index) => names.indexOf(name) !== index)).to.deep.equal([]);
  });

  it('names for every sentence embedder the files that its vectors depend on', () => {
    const { fileSets } = JSON.parse(readFileSync(builtInManifestPath(), 'utf8'));
    for (const [name, { files }] of Object.entries<{ files: readonly { path: string }[] }>(fileSets)) {
      if (!name.startsWith('sentence')) continue;
      expect(
        files.map(({ path }) => path),
        name,
      ).to.include.members([
        'modules.json',
        '1_Pooling/config.json',
        ...TRANSFORMER_FILES,
        'config_sentence_transformers.json',
      ]);
    }
  });

  it('returns for every variant the weights that its family loads', () => {
    const weights = {
      whisper: ['decoder', 'encoder'],
      moonshine: ['decoder', 'encoder'],
      siglip: ['text', 'vision'],
      sentence: ['model'],
      yunet: ['model'],
      silero: ['model'],
    };
    for (const entry of loadManifest().entries) {
      for (const [variant, files] of Object.entries(entry.variants)) {
        const named = files.flatMap((file) => file.weights ?? []).sort();
        // Those of a checkpoint are compiled.
        expect(named, `${entry.name}:${variant}`).to.deep.equal(entry.compiled ? [] : weights[entry.family]);
      }
    }
  });

  it('knows the commits, sizes and hashes that were seen on the hub, and no others', () => {
    const { entries } = loadManifest();
    const pinned = entries.flatMap(({ name, sources }) =>
      sources.flatMap((source) =>
        source.type === 'hf' && source.revision !== 'main' ? [`${name} ${source.revision}`] : [],
      ),
    );
    expect(pinned.sort()).to.deep.equal([
      'Xenova/bge-m3 0304fba9855cf475521c7fb1199d623f1cc82b73',
      'Xenova/siglip-base-patch16-224 294847d6b5fe86c91330269da98ce112d6c75e7e',
      'Xenova/whisper-medium 33bf94e94e92123d3c9863b78cb886d7d5430d0e',
    ]);
    const hashed = entries.flatMap(({ variants }) =>
      Object.values(variants).flatMap((files) => files.flatMap((file) => (file.sha256 === undefined ? [] : [file]))),
    );
    expect(hashed.map(({ path, sizeBytes, sha256 }) => `${path} ${sizeBytes} ${sha256?.slice(0, 8)}`)).to.deep.equal([
      'onnx/encoder_model_quantized.onnx 7937661 c6fc4b7b',
      'onnx/decoder_model_merged_quantized.onnx 20243286 eed87831',
      'face_detection_yunet_2023mar.onnx 232589 8f2383e4',
      'silero_vad_v6.onnx 2327524 1a153a22',
    ]);
  });

  it('puts entries of the user before its own', async () => {
    const path = join(dir(), 'mine.json');
    const medium = { ...ENTRY, aliases: ['medium'] };
    await writeFile(path, JSON.stringify({ formatVersion: 1, models: [medium] }));
    const manifest = loadManifest(path);
    expect(resolveModel(manifest, 'speech', 'medium').entry).to.equal('me/mine');
    expect(resolveModel(manifest, 'speech', 'tiny').entry).to.equal('openai/whisper-tiny');
  });

  it("allows a user's entry to use the built-in file sets", async () => {
    const path = join(dir(), 'mine.json');
    const { files: _files, variants: _variants, defaultVariant: _default, ...rest } = ENTRY;
    await writeFile(path, JSON.stringify({ formatVersion: 1, models: [{ ...rest, fileSet: 'whisper' }] }));
    const { files } = resolveModel(loadManifest(path), 'speech', 'me/mine');
    expect(files.map((file) => file.path)).to.include('onnx/encoder_model_quantized.onnx');
  });

  it('accepts sources of every type, in their order, with defaults filled in', () => {
    const hash = 'a'.repeat(64);
    const sources = [
      { type: 'hf', repository: 'me/mine' },
      { type: 'url', files: [{ path: 'config.json', url: 'https://x.example/c', sha256: hash }] },
      {
        type: 'npm',
        package: '@me/mine',
        version: '1.2.3',
        files: [{ path: 'config.json', file: 'a/c', sha256: hash, sizeBytes: 3 }],
      },
    ];
    expect(parseManifest(manifestOf({ sources }), 'x').entries[0]?.sources).to.deep.equal([
      { type: 'hf', repository: 'me/mine', revision: 'main' },
      { type: 'url', files: [{ path: 'config.json', url: 'https://x.example/c', sha256: hash, sizeBytes: undefined }] },
      {
        type: 'npm',
        package: '@me/mine',
        version: '1.2.3',
        files: [{ path: 'config.json', file: 'a/c', sha256: hash, sizeBytes: 3 }],
      },
    ]);
  });

  it('requires every file that is not said to be optional', () => {
    const files = [{ path: 'config.json' }, { path: 'notes.json', required: false }];
    const model = resolveModel(parseManifest(manifestOf({ files }), 'x'), 'speech', 'me/mine');
    expect(model.files.map(({ path, required }) => [path, required])).to.deep.equal([
      ['config.json', true],
      ['notes.json', false],
      ['onnx/encoder.onnx', true],
    ]);
  });

  it('of a later format is refused, by its schema too', () => {
    const text = manifestOf({}).replace('"formatVersion":1', '"formatVersion":2');
    expect(() => parseManifest(text, 'x')).to.throw('manifest.formatVersion must be 1, got 2');
    expect(validate?.(JSON.parse(text))).to.equal(false);
  });

  it('may begin with a byte order mark, as some editors write one', () => {
    expect(parseManifest(`\ufeff${manifestOf({})}`, 'x').entries).to.have.length(1);
  });

  it('accepts an entry that is compiled and has its own files, as its schema does', () => {
    const text = manifestOf({ compiled: true, variants: { int8: [] }, defaultVariant: 'int8' });
    expect(parseManifest(text, 'x').entries[0]?.compiled).to.equal(true);
    expect(validate?.(JSON.parse(text)), JSON.stringify(validate?.errors)).to.equal(true);
  });

  /** Mistakes that only a reader of the whole file sees: the schema cannot compare two of its parts. */
  const beyondSchema = [
    'a hash of no file',
    'a default that is no variant',
    'a default that its file set does not have',
    'a file set that does not exist',
    'an address that cannot be read',
    'an address with a password that cannot be decoded, which is not shown',
  ];
  const { fileSets } = loadManifest();
  const noFiles = { files: undefined, variants: undefined, defaultVariant: undefined };
  const mistakes: [string, object, RegExp][] = [
    ['an unknown member', { nmae: 'x' }, /manifest\.models\[0\]\.nmae is not known/],
    ['an unknown role', { role: 'smell' }, /models\[0\]\.role must be one of speech.* got "smell"/],
    [
      'a path that leads out',
      { files: [{ path: '../../etc/passwd' }] },
      /files\[0\]\.path must be a path inside the repository/,
    ],
    ['an absolute path', { folder: '/etc' }, /folder must be a path inside/],
    ['no source', { sources: [] }, /sources must be a list of one source or more/],
    [
      'a repository with a directory too many',
      { sources: [{ type: 'hf', repository: 'a/b/c' }] },
      /repository must be/,
    ],
    ['an invalid hash', { known: { 'config.json': { sha256: 'abc' } } }, /sha256 must be 64 hexadecimal digits/],
    [
      'a hash of no file',
      { known: { 'confg.json': { sha256: 'a'.repeat(64) } } },
      /known\.confg\.json must be for one of the model's files \(config\.json, onnx\/encoder\.onnx\)/,
    ],
    [
      'a range for a version',
      { sources: [{ type: 'npm', package: 'x', version: '^1.0.0', files: [] }] },
      /exact version/,
    ],
    [
      'an address that cannot be read',
      { sources: [{ type: 'url', files: [{ path: 'config.json', url: 'https://x:port/c', sha256: 'a'.repeat(64) }] }] },
      /url must be an http:\/\/ or https:\/\/ address, got "https:\/\/x:port\/c"/,
    ],
    [
      'an address with a password that cannot be decoded, which is not shown',
      {
        sources: [{ type: 'url', files: [{ path: 'config.json', url: 'https://50%:25@x/c', sha256: 'a'.repeat(64) }] }],
      },
      /url must be .* written as %25, got "https:\/\/\.\.\.@x\/c"/,
    ],
    ['a default that is no variant', { defaultVariant: 'toString' }, /defaultVariant must be the name of a variant/],
    [
      'a default that its file set does not have',
      { ...noFiles, fileSet: 'whisper', defaultVariant: 'q5' },
      /defaultVariant must be the name of a variant \(.*q8.*\), got "q5"/,
    ],
    [
      'a compiled variant that is no precision',
      { compiled: true, variants: { int4: [] }, defaultVariant: 'int4' },
      /variants must be named by precisions \(int8, fp16, fp32\)/,
    ],
    ['a file set that does not exist', { ...noFiles, fileSet: 'wisper' }, /fileSet must be one of/],
    ['both a file set and files', { fileSet: 'whisper' }, /fileSet must be omitted/],
    ['weights of no family', { files: [{ path: 'a.onnx', weights: 'encodr' }] }, /weights must be one of encoder, /],
    [
      'a revision that leads out',
      { sources: [{ type: 'hf', repository: 'me/mine', revision: '../x' }] },
      /revision must be a path inside/,
    ],
    [
      'a file set with a member of its own',
      { ...noFiles, fileSet: 'whisper', compiled: true },
      /compiled must be omitted with a fileSet/,
    ],
  ];
  for (const [what, change, message] of mistakes) {
    it(`refuses ${what}, with the position`, async () => {
      const error = await cacheErrorOf(() => parseManifest(manifestOf(change), 'mine.json', fileSets));
      expect(error.code).to.equal('MANIFEST_INVALID');
      expect(error.message).to.match(message).and.to.include('mine.json');
      const valid = validate?.(JSON.parse(manifestOf(change)));
      expect(valid, 'what the schema says').to.equal(beyondSchema.includes(what));
    });
  }

  it('reports a file that is missing or not JSON', async () => {
    const missing = await cacheErrorOf(() => loadManifest(join(dir(), 'none.json')));
    expect([missing.code, missing.variable]).to.deep.equal(['MANIFEST_INVALID', 'MODELS_MANIFEST']);
    await writeFile(join(dir(), 'text.json'), 'models:');
    expect((await cacheErrorOf(() => loadManifest(join(dir(), 'text.json')))).code).to.equal('MANIFEST_INVALID');
  });
});
