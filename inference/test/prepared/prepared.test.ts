import { execFileSync } from 'node:child_process';
import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { preparedFolder, preparedSources, readModelEnvironment } from '@heimdex/cache';
import { embeddedRepositories, type HubFile } from '@heimdex/hub';
import { expect } from 'chai';
import { findModels } from '../../src/models/find.js';
import { LOADERS } from '../../src/models/loaders.js';
import { preparedOptions } from '../../src/models/prepared/options.js';
import { type GraphUse, NOT_PREPARED } from '../../src/models/prepared/use.js';
import { parseModel, writeModel } from '../../src/onnx/index.js';
import { runProgram, startProgram } from '../fixtures/server-process.js';
import { DEMO_MODELS, makeVolume, type Volume } from '../fixtures/volume.js';
import { CONTEXT, inRepository, inShared, needsShared, OPTIONS } from '../support/places.js';
import { samplesOf } from '../support/speech.js';

const SIGLIP = 'heimdex/siglip-pocket';
const MOONSHINE = 'onnx-community/moonshine-tiny-ONNX';
const WHISPER = 'onnx-community/whisper-base_timestamped';
/** A model whose weights may lie beside its graphs. */
const LARGE = 'Xenova/siglip-base-patch16-384';
const BESIDE = { ASR_MODEL: 'none', VISION_MODEL_NAME: `${LARGE}:fp32` };
const VISION_ONLY = { ASR_MODEL: 'none', VISION_MODEL_NAME: SIGLIP };

/** Every file and folder below a folder. */
async function listing(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.map((entry) => `${entry.parentPath}/${entry.name}`).sort();
}

async function formFolders(volume: Volume): Promise<string[]> {
  const root = preparedFolder(volume.cacheDir);
  const sources = await readdir(root);
  const keys = await Promise.all(
    sources.map(async (name) => (await readdir(join(root, name))).map((key) => join(root, name, key))),
  );
  return keys.flat();
}

/** Prepares with the real program; the messages of its log. */
async function prepare(volume: Volume, env: Readonly<Record<string, string>>, minMb = '0'): Promise<string[]> {
  const settings = { HF_HUB_CACHE: volume.cacheDir, ...env };
  const { code, stdout, stderr } = await runProgram(settings, ['prepare', '--min-mb', minMb]);
  expect(code, stderr).to.equal(0);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { msg: string }).msg);
}

/** Loads the one configured model here, runs items through it and says how its graphs were opened. */
async function answers(
  volume: Volume,
  env: Readonly<Record<string, string>>,
  items: readonly unknown[],
  usePrepared: boolean,
): Promise<{ readonly results: unknown; readonly uses: readonly GraphUse[] }> {
  const environment = readModelEnvironment({ HF_HUB_CACHE: volume.cacheDir, ...env });
  const [model] = await findModels(environment);
  if (model === undefined) throw new Error('no model is configured');
  const uses: GraphUse[] = [];
  const prepared = preparedOptions(volume.cacheDir, model, 'full');
  const loaded = await LOADERS[model.family](model.files, {
    ...OPTIONS,
    ...(usePrepared ? { prepared, onGraph: (use: GraphUse) => void uses.push(use) } : {}),
  });
  try {
    return { results: await loaded.run(items, { ...CONTEXT, signals: items.map(() => NEVER) }), uses };
  } finally {
    await loaded.close();
  }
}

const NEVER = new AbortController().signal;

/** Items of faces in a picture. */
const facesOf = (content: Uint8Array) => [{ content, scoreThreshold: 0.5, nmsThreshold: 0.3, maxFaces: 0 }];

const TEXTS = ['a red bicycle', 'two dogs on a beach'].map((text) => ({
  type: 'text',
  text,
  normalize: true,
  truncate: true,
}));

describe('prepared forms', () => {
  let volume: Volume;
  beforeEach(async () => {
    volume = await makeVolume({ snapshots: { [SIGLIP]: join(DEMO_MODELS, SIGLIP) } });
  });
  afterEach(() => volume.remove());

  it('are made once, used by the server, which says so and leaves the volume as it was', async () => {
    expect(await prepare(volume, VISION_ONLY)).to.deep.equal(['Prepared', 'Prepared']);
    expect(await prepare(volume, VISION_ONLY)).to.deep.equal(['Was prepared before', 'Was prepared before']);
    const before = await listing(volume.cacheDir);
    const server = await startProgram({ HF_HUB_CACHE: volume.cacheDir, ...VISION_ONLY });
    try {
      const loaded = server.log.find(({ msg }) => msg.startsWith('Loaded in '));
      expect(loaded).to.include({ model: 'siglip', prepared: true });
    } finally {
      await server.stop();
    }
    expect(await listing(volume.cacheDir)).to.deep.equal(before);
  });

  it('are not made of graphs that are too small to gain by it', async () => {
    const messages = await prepare(volume, VISION_ONLY, '1000');
    expect(messages).to.have.length(2);
    for (const message of messages) expect(message).to.match(/^Left as it is: it is small/);
    expect(await formFolders(volume)).to.deep.equal([]);
  });

  it('give the same bits as the plain files', async () => {
    const content = await readFile(inRepository('demo/samples/pictures/03-pizza.jpg'));
    const items = [...TEXTS, { type: 'image', content, normalize: true }];
    await prepare(volume, VISION_ONLY);
    const plain = await answers(volume, VISION_ONLY, items, false);
    const prepared = await answers(volume, VISION_ONLY, items, true);
    expect(prepared.uses.map((use) => use.prepared)).to.deep.equal([true, true]);
    expect(JSON.stringify(plain.results)).not.to.include('"ok":false');
    expect(prepared.results).to.deep.equal(plain.results);
  });

  it('are passed over when a bit is wrong, and made again by the next run', async () => {
    await prepare(volume, VISION_ONLY);
    const [folder = ''] = await formFolders(volume);
    const path = join(folder, 'model.data');
    const bytes = await readFile(path);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    await writeFile(path, bytes);
    const { uses } = await answers(volume, VISION_ONLY, TEXTS, true);
    expect(uses.map((use) => use.prepared).sort()).to.deep.equal([false, true]);
    expect(uses.find((use) => !use.prepared)?.reason).to.include('sha256 of model.data');
    expect((await prepare(volume, VISION_ONLY)).sort()).to.deep.equal(['Prepared', 'Was prepared before']);
  });

  it('of another CPU are not used, and stay; those of another runtime go', async () => {
    await prepare(volume, VISION_ONLY);
    const manifests = await Promise.all(
      (await formFolders(volume)).map(async (folder, index) => {
        const key = index === 0 ? { cpu: ['another'] } : { runtime: '0.0.1' };
        const path = join(folder, 'manifest.json');
        const manifest = JSON.parse(await readFile(path, 'utf8')) as { key: object };
        await writeFile(path, JSON.stringify({ ...manifest, key: { ...manifest.key, ...key } }));
        // Where a form lies follows from its key.
        const moved = join(dirname(folder), String(index).repeat(32));
        await rename(folder, moved);
        return moved;
      }),
    );
    const { uses } = await answers(volume, VISION_ONLY, TEXTS, true);
    expect(uses.map((use) => use.reason)).to.deep.equal([NOT_PREPARED, NOT_PREPARED]);
    await prepare(volume, VISION_ONLY);
    const after = await formFolders(volume);
    expect(after).to.include(manifests[0]);
    expect(after).not.to.include(manifests[1]);
  });

  it('are refused with a clear word where the volume cannot be written', async () => {
    await writeFile(preparedFolder(volume.cacheDir), 'in the way');
    const env = { HF_HUB_CACHE: volume.cacheDir, ...VISION_ONLY };
    const { code, stderr } = await runProgram(env, ['prepare']);
    expect(code).to.equal(3);
    expect(stderr).to.include('.prepared').and.include('writes to the volume');
  });
});

describe('prepared speech', () => {
  for (const [name, id] of [
    ['Moonshine', MOONSHINE],
    ['Whisper', WHISPER],
  ] as const) {
    it(`of ${name} says the same with the same probabilities`, async function () {
      if (id === WHISPER) needsShared(this, `models/${id}`);
      const embedded = (await embeddedRepositories()).find((repository) => repository.name === id);
      const volume = await makeVolume({ snapshots: { [id]: embedded?.files ?? inShared(`models/${id}`) } });
      const env = { ASR_MODEL: id, VISION_MODEL_NAME: 'none' };
      const samples = await samplesOf(inRepository('demo/samples/speech/search.flac'));
      const options = {
        task: 'transcribe',
        timestamps: 'segment',
        hotwords: undefined,
        temperatures: [0],
        beamSize: 1,
        compressionRatioThreshold: 2.4,
        logProbThreshold: -1,
        noSpeechThreshold: 0.6,
      };
      const items =
        id === WHISPER
          ? [{ type: 'decode', samples, language: 'en', options, promptTokens: [], promptText: undefined, seed: 0 }]
          : [{ type: 'utterance', samples }];
      try {
        expect(await prepare(volume, env)).to.deep.equal(['Prepared', 'Prepared']);
        const plain = await answers(volume, env, items, false);
        const prepared = await answers(volume, env, items, true);
        expect(prepared.uses.map((use) => use.prepared)).to.deep.equal([true, true]);
        expect(JSON.stringify(plain.results)).to.include('"ok":true');
        expect(prepared.results).to.deep.equal(plain.results);
      } finally {
        await volume.remove();
      }
    });
  }
});

describe('prepared texts', () => {
  for (const [name, id] of [
    ['an int8 sentence model', 'Xenova/all-MiniLM-L6-v2'],
    ['a float sentence model', 'fixtures/bge-m3-tiny'],
  ] as const) {
    it(`of ${name} are the same bits`, async function () {
      needsShared(this, `models/${id}`);
      const volume = await makeVolume({ snapshots: { [id]: inShared(`models/${id}`) } });
      const env = { ASR_MODEL: 'none', VISION_MODEL_NAME: 'none', LOAD_BGE_M3: 'true', TEXT_MODEL_NAME: id };
      try {
        expect(await prepare(volume, env)).to.deep.equal(['Prepared']);
        const items = [...TEXTS, { ...TEXTS[0], text: 'a longer one, '.repeat(40) }];
        await expectSameBits(volume, env, items);
      } finally {
        await volume.remove();
      }
    });
  }
});

describe('a model of faces', () => {
  it('is too small to be prepared, and is served as it is', async () => {
    const folder = join(DEMO_MODELS, 'heimdex/face-pocket');
    const volume = await makeVolume({ plain: [join(folder, 'face_detection_pocket.onnx')] });
    const env = {
      ASR_MODEL: 'none',
      VISION_MODEL_NAME: 'none',
      FEATURE_FACE: 'true',
      FACE_MODEL_NAME: 'heimdex/face-pocket',
    };
    try {
      expect(await prepare(volume, env)).to.deep.equal([]);
      expect(await formFolders(volume)).to.deep.equal([]);
      const content = await readFile(join(folder, 'golden/g3_640x640.png'));
      const plain = await answers(volume, env, facesOf(content), false);
      const prepared = await answers(volume, env, facesOf(content), true);
      expect(prepared).to.deep.equal({ ...plain, uses: [] });
      expect(JSON.stringify(plain.results)).to.include('"faces":[{');
    } finally {
      await volume.remove();
    }
  });
});

describe('a model whose weights lie beside its graph', () => {
  it('is prepared whole, and other weights beside the same graph are another source', async () => {
    const volume = await makeVolume({ snapshots: { [LARGE]: await withWeightsBeside() } });
    const changed = await makeVolume({ snapshots: { [LARGE]: await withWeightsBeside({ changed: true }) } });
    const whole = await makeVolume({ snapshots: { [SIGLIP]: join(DEMO_MODELS, SIGLIP) } });
    try {
      expect(await prepare(volume, BESIDE)).to.deep.equal(['Prepared', 'Prepared']);
      await expectSameBits(volume, BESIDE, TEXTS);
      const beside = await answers(volume, BESIDE, TEXTS, true);
      const inside = await answers(whole, VISION_ONLY, TEXTS, false);
      expect(beside.results).to.deep.equal(inside.results);
      const sources = await sourcesOf(volume);
      const others = (await sourcesOf(changed)).filter((source) => !sources.includes(source));
      expect([sources.length, others.length]).to.deep.equal([2, 1]);
    } finally {
      for (const one of [volume, changed, whole]) await one.remove();
    }
  });
});

describe('a prepared volume', () => {
  let volume: Volume;
  before(async () => {
    volume = await makeVolume({ snapshots: { [SIGLIP]: join(DEMO_MODELS, SIGLIP) } });
    await prepare(volume, VISION_ONLY);
  });
  after(() => volume.remove());

  it('is in memory once, however many workers serve it', async function () {
    const server = await startProgram({ HF_HUB_CACHE: volume.cacheDir, ...VISION_ONLY, WORKERS_VISION: '2' });
    try {
      const loaded = (worker: number) => server.logged((line) => line.worker === worker && /^Loaded/.test(line.msg));
      const pids = [(await loaded(0)).pid, (await loaded(1)).pid];
      const sizes = await Promise.all(pids.map((pid) => mappedBytes(Number(pid), 'model.data')));
      if (sizes.includes(undefined)) {
        console.log('      skipped: this system does not show the pages of a process');
        return this.skip();
      }
      for (const size of sizes) {
        // Two processes with the same pages: each counts half of them.
        expect(size?.resident).to.be.greaterThan(1024 * 1024);
        expect(size?.proportional).to.be.lessThan(0.6 * (size?.resident ?? 0));
      }
    } finally {
      await server.stop();
    }
  });

  it('serves from a mount that nobody can write to, and prepare says so', async function () {
    const mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"';
    const command = ['unshare', '-rm', 'sh', '-c', mount, volume.cacheDir];
    try {
      execFileSync('unshare', [...command.slice(1), 'true'], { stdio: 'ignore' });
    } catch {
      console.log('      skipped: mount namespaces are not permitted here');
      return this.skip();
    }
    const env = { HF_HUB_CACHE: volume.cacheDir, ...VISION_ONLY };
    const server = await startProgram(env, { command });
    try {
      expect(server.log.find(({ msg }) => msg.startsWith('Loaded in '))).to.include({ prepared: true });
      const response = await fetch(`${server.url}/heimdex.inference.v1.InferenceService/EmbedText`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"texts":["a red bicycle"]}',
      });
      expect(response.status).to.equal(200);
    } finally {
      await server.stop();
    }
    // What is there already needs no writing.
    expect((await runProgram(env, ['prepare', '--min-mb', '0'], command)).code).to.equal(0);
    const bare = await makeVolume({ snapshots: { [SIGLIP]: join(DEMO_MODELS, SIGLIP) } });
    try {
      const inside = [...command.slice(0, -1), bare.cacheDir];
      const { code, stderr } = await runProgram({ ...env, HF_HUB_CACHE: bare.cacheDir }, ['prepare'], inside);
      expect(code).to.equal(3);
      expect(stderr).to.include('mount it so that this user may write');
    } finally {
      await bare.remove();
    }
  });
});

/** The small model with the weights of its text graph in a file beside it; `changed`: one bit of them is another. */
async function withWeightsBeside({ changed = false } = {}): Promise<HubFile[]> {
  const folder = join(DEMO_MODELS, SIGLIP);
  const graph = 'onnx/text_model.onnx';
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('golden'))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((file) => ({ path: relative(folder, file), file }))
    .filter(({ path }) => path !== graph);
  const model = parseModel(await readFile(join(folder, graph)));
  const pieces: Uint8Array[] = [];
  let offset = 0;
  for (const tensor of model.graph.initializers) {
    if (tensor.data?.kind !== 'inline' || tensor.data.bytes.length < 1024) continue;
    const { bytes } = tensor.data;
    tensor.data = { kind: 'external', location: `${basename(graph)}_data`, offset, length: bytes.length };
    pieces.push(bytes);
    offset += bytes.length;
  }
  const weights = Buffer.concat(pieces);
  if (changed) weights[0] = (weights[0] ?? 0) ^ 1;
  return [...files, { path: graph, bytes: writeModel(model) }, { path: `${graph}_data`, bytes: weights }];
}

/** What identifies the bytes of the vision model's graphs. */
async function sourcesOf(volume: Volume): Promise<string[]> {
  const [model] = await findModels(readModelEnvironment({ HF_HUB_CACHE: volume.cacheDir, ...BESIDE }));
  if (model === undefined) throw new Error('no model is configured');
  return [...preparedSources(model.found).values()];
}

/** Answers of plain and prepared graphs are equal, and every graph was opened from its form. */
async function expectSameBits(
  volume: Volume,
  env: Readonly<Record<string, string>>,
  items: readonly unknown[],
): Promise<void> {
  const plain = await answers(volume, env, items, false);
  const prepared = await answers(volume, env, items, true);
  expect(prepared.uses.length).to.be.greaterThan(0);
  expect(prepared.uses.every((use) => use.prepared)).to.equal(true);
  expect(JSON.stringify(plain.results)).not.to.include('"ok":false');
  expect(prepared.results).to.deep.equal(plain.results);
}

/** Bytes of a process's mappings of files of a name; undefined where the system does not say. */
async function mappedBytes(
  pid: number,
  name: string,
): Promise<{ readonly resident: number; readonly proportional: number } | undefined> {
  const text = await readFile(`/proc/${pid}/smaps`, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const mappings = text.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m).filter((one) => one.split('\n', 1)[0]?.endsWith(name));
  const sum = (field: string) =>
    mappings.reduce((total, one) => total + Number(new RegExp(`^${field}: +(\\d+) kB`, 'm').exec(one)?.[1] ?? 0), 0);
  return { resident: sum('Rss') * 1024, proportional: sum('Pss') * 1024 };
}
