/**
 * The volume that the Python service leaves, made by openai-whisper, transformers and FlagEmbedding against a local hub of small
 * stand-ins, and what the downloader makes of it. Usage: node bench/python-volume/run.js --python PYTHON [--shared DIR]
 */
import '../support/offline.js';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { bertShapes, randomTensors, startHub, torchFile, whisperShapes } from '../../demo/hub/dist/src/index.js';
import { japaneseSiglip, koreanWhisper } from '../../inference/dist/test/fixtures/fine-tunes.js';
import { openAiTensors } from '../../inference/dist/test/support/ctranslate2.js';
import { temporaryDir } from '../support/dir.js';
import { inRepository, readOptions } from '../support/measure.js';

const { python, shared } = readOptions();

const DOWNLOADER = inRepository('downloader/bin/heimdex-downloader.js');
const MAKE = inRepository('bench/python-volume/make.py');
const dir = temporaryDir();
const volume = join(dir, 'models');
const cache = join(volume, '.cache');

// OpenAI's file, whose name in its address is its sha256.
const korean = { ...koreanWhisper(), name: 'openai/whisper-medium' };
const config = JSON.parse(korean.files.find(({ path }) => path === 'config.json').bytes);
const size = { width: 48, layers: 3, vocabulary: config.vocab_size, mels: 80 };
const pt = torchFile(openAiTensors(randomTensors(whisperShapes(size), 11)), {
  n_mels: 80,
  n_audio_ctx: 1500,
  n_audio_state: 48,
  n_audio_head: 3,
  n_audio_layer: 3,
  n_vocab: config.vocab_size,
  n_text_ctx: 448,
  n_text_state: 48,
  n_text_head: 3,
  n_text_layer: 3,
});
const sha256 = createHash('sha256').update(pt).digest('hex');

/** BGE-M3's kind of model, with its tokenizer's kind, as a file of torch.save. */
function bgeM3() {
  const from = join(shared, 'models/fixtures/bge-m3-tiny');
  const paths = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json', 'modules.json'];
  const small = [...paths, 'sentence_bert_config.json', '1_Pooling/config.json'];
  const xlm = { width: 64, inner: 128, layers: 2, vocabulary: 1500, positions: 8194, types: 1 };
  return {
    name: 'BAAI/bge-m3',
    files: [
      ...small.map((path) => ({ path, file: join(from, path) })),
      { path: 'pytorch_model.bin', bytes: torchFile(randomTensors(bertShapes(xlm, { pooler: true }), 5)) },
    ],
  };
}

/** transformers reads the texts of a SigLIP 1 by SentencePiece's own file. */
function siglip() {
  const file = inRepository('demo/models/heimdex/siglip-pocket/spiece.model');
  const files = [...japaneseSiglip().files, { path: 'spiece.model', file }];
  return { name: 'google/siglip-so400m-patch14-384', files };
}

const hub = await startHub({
  repositories: [
    korean,
    siglip(),
    bgeM3(),
    { name: 'openai/files', files: [{ path: `${sha256}/medium.pt`, bytes: pt }] },
  ],
});
const address = `${hub.url}/openai/files/resolve/main/${sha256}/medium.pt`;

async function run(command, args, env) {
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise((resolve) => child.once('close', resolve)),
  ]);
  return { stdout, stderr, code };
}

let failed = false;
function check(name, holds, more = '') {
  failed ||= !holds;
  console.log(`${holds ? 'ok    ' : 'FAILED'}  ${name}${more === '' ? '' : `: ${more}`}`);
}

mkdirSync(cache, { recursive: true });
const pythonEnv = {
  PATH: process.env.PATH,
  HOME: dir,
  HF_ENDPOINT: hub.url,
  HF_HUB_DISABLE_XET: '1',
  HF_HUB_DISABLE_TELEMETRY: '1',
  NO_PROXY: '127.0.0.1,localhost',
};
const made = await run(python, [MAKE, volume, address], pythonEnv);
if (made.code !== 0) throw new Error(`make.py ended with ${made.code}: ${made.stderr.slice(-3000)}`);
const facts = JSON.parse(made.stdout.trim().split('\n').at(-1));
console.log(
  `The volume: openai-whisper ${facts.whisper}, transformers ${facts.transformers}, sentences by ${facts.sentences}`,
);
copyFileSync(
  join(shared, 'models/opencv/face_detection_yunet/face_detection_yunet_2023mar.onnx'),
  join(cache, 'face_detection_yunet_2023mar.onnx'),
);

// The built-in entry of whisper-medium knows the true file's hash; this one the stand-in's.
const manifest = join(dir, 'models.json');
const sources = [
  { type: 'hf', repository: 'openai/whisper-medium' },
  { type: 'url', files: [{ path: 'whisper/medium.pt', url: address, sha256 }] },
];
const entry = { name: 'openai/whisper-medium', role: 'speech', family: 'whisper', aliases: ['medium'], sources };
writeFileSync(manifest, JSON.stringify({ formatVersion: 1, models: [{ ...entry, fileSet: 'whisper-checkpoint' }] }));
const env = {
  PATH: process.env.PATH,
  HOME: dir,
  HF_ENDPOINT: hub.url,
  MODELS_DIR: volume,
  MODELS_MANIFEST: manifest,
  LOAD_BGE_M3: 'true',
  FEATURE_FACE: 'true',
};
const downloader = (args, more = {}) => run(process.execPath, [DOWNLOADER, ...args], { ...env, ...more });

/** Every file but what the downloader makes. */
const theirs = () =>
  readdirSync(volume, { recursive: true })
    .filter((name) => !/\.compiled|models\.lock|CACHEDIR|\.locks|proofs/.test(name))
    .sort();
const before = theirs();

hub.requests.clear();
const planned = await downloader(['plan'], { ASR_MODEL: 'none' });
check(
  'plan without speech says 0 bytes to fetch, without a request',
  planned.stdout.includes('0 bytes to fetch') && hub.requests.count === 0,
);
console.log(planned.stdout.replace(/^/gm, '        '));

const whole = await downloader(['plan']);
const document = JSON.parse((await downloader(['plan', '--json'])).stdout);
const fetched = document.models.flatMap(({ files }) => files).filter(({ action }) => action === 'fetch');
check(
  'plan with speech fetches small files of Whisper alone',
  fetched.length > 0 && fetched.every(({ path }) => /\.json$/.test(path)) && document.fetch.bytes < 5_000_000,
  `${document.fetch.bytes} bytes: ${fetched.map(({ path }) => path).join(', ')}`,
);
console.log(whole.stdout.replace(/^/gm, '        '));

hub.requests.clear();
const offline = await downloader([], { ASR_MODEL: 'none', HF_HUB_OFFLINE: '1' });
check(
  'everything but speech is compiled without a request',
  offline.code === 0 && hub.requests.count === 0,
  offline.stderr.split('\n').at(-2)?.slice(-160),
);
const rest = await downloader([]);
check(
  'speech is compiled from whisper/medium.pt',
  rest.code === 0 && hub.requests.filter({ kind: 'bytes' }).every(({ file }) => /\.json$/.test(file)),
  rest.stderr.split('\n').at(-2)?.slice(-160),
);
check('verify finds nothing wrong', (await downloader(['verify'])).code === 0);
const pruned = JSON.parse(
  (
    await downloader(['prune', '--json'], {
      ASR_MODEL: 'none',
      VISION_MODEL_NAME: 'none',
      LOAD_BGE_M3: 'false',
      FEATURE_FACE: 'false',
    })
  ).stdout,
);
const offered = pruned.steps.filter(({ path }) => !path.includes('.compiled'));
check(
  'prune offers nothing of theirs, though no model is configured',
  offered.every(({ path }) => !before.some((name) => path.endsWith(name))),
  offered.map(({ path }) => path).join(', '),
);
check(
  'every file of theirs is still there',
  before.every((name) => theirs().includes(name)),
  `${before.length} files and directories`,
);
hub.requests.clear();
const again = await run(python, [MAKE, volume, address], { ...pythonEnv, HF_HUB_OFFLINE: '1' });
check(
  'Python loads all of it again, offline',
  again.code === 0 && hub.requests.count === 0,
  again.code === 0 ? '' : again.stderr.slice(-300),
);
const scan = await run(
  python,
  ['-c', 'import huggingface_hub as h; print("\\n".join(str(w) for w in h.scan_cache_dir().warnings))'],
  { ...pythonEnv, HF_HUB_CACHE: cache },
);
console.log(`scan_cache_dir() warns of:\n${scan.stdout.replace(/^/gm, '        ')}`);
await hub.close();
process.exitCode = failed ? 1 : 0;
