// Measures and profiles text embedding: `node bench/text/run.js --python PATH`. Results: results.md.
import { existsSync } from 'node:fs';
import { AutoModel, AutoTokenizer, SiglipTextModel } from '@huggingface/transformers';
import { load as loadSentence } from '../../inference/dist/src/models/sentence/model.js';
import { load as loadSiglip } from '../../inference/dist/src/models/siglip/model.js';
import { loadTokenizer } from '../../inference/dist/src/tokenizer/index.js';
import {
  CONTEXT,
  measure,
  modelFiles,
  OPTIONS,
  printTable,
  readOptions,
  runPython,
  stepMs,
} from '../support/measure.js';
import { SIGLIP_POCKET } from '../support/samples.js';
import { SESSION } from '../support/transformers-js.js';
import { TEXTS } from './texts.js';

const COUNT = TEXTS.length;

/** `--only WORD` selects cases by a part of the name. */
const options = readOptions({ only: '' });
const MINILM = `${options.shared}/models/Xenova/all-MiniLM-L6-v2`;
const BGE = `${options.shared}/models/fixtures/bge-m3-tiny`;

const CASES = [
  {
    name: 'siglip-pocket, fp32',
    dir: SIGLIP_POCKET,
    weights: 'onnx/text_model.onnx',
    family: 'siglip',
    dtype: 'fp32',
    output: 'pooler_output',
    limit: 64,
    length: 64,
    pad: 1,
    alone: false,
  },
  {
    name: 'MiniLM, q8',
    dir: MINILM,
    weights: 'onnx/model_quantized.onnx',
    family: 'sentence',
    dtype: 'q8',
    output: 'last_hidden_state',
    limit: 256,
    length: 0,
    pad: 0,
    alone: true,
  },
  {
    name: 'bge-m3-tiny, fp32',
    dir: BGE,
    weights: 'onnx/sentence_transformers.onnx',
    family: 'sentence',
    dtype: undefined,
    output: 'sentence_embedding',
    limit: 8192,
    length: 0,
    pad: 1,
    alone: false,
  },
];

/** Runs padded batches of each of these sizes; the best counts. */
async function transformersJs(one, sizes, rounds) {
  // It only supports the file names of the hub's usual exports.
  if (one.dtype === undefined) return undefined;
  const tokenizer = await AutoTokenizer.from_pretrained(one.dir);
  const kind = one.family === 'siglip' ? SiglipTextModel : AutoModel;
  const model = await kind.from_pretrained(one.dir, { dtype: one.dtype, session_options: SESSION });
  const padding = one.length > 0 ? 'max_length' : true;
  let best;
  for (const size of sizes) {
    const figures = await measure(COUNT, rounds, async () => {
      for (let start = 0; start < COUNT; start += size) {
        await model(tokenizer(TEXTS.slice(start, start + size), { padding, truncation: true }));
      }
    });
    if (best === undefined || figures.perSecond > best.perSecond) best = figures;
  }
  await model.dispose();
  return best;
}

async function ours(one) {
  const siglip = one.family === 'siglip';
  const files = modelFiles(one.name, one.dir, siglip ? { text: one.weights } : { model: one.weights });
  const model = await (siglip ? loadSiglip : loadSentence)(files, OPTIONS);
  const items = TEXTS.map((text) => ({ type: 'text', text, normalize: true, truncate: true }));
  // As in the server: no more texts at a time than the model accepts.
  const size = model.facts.batching.maxItems;
  const figures = await measure(COUNT, options.rounds, async () => {
    for (let start = 0; start < COUNT; start += size) await model.run(items.slice(start, start + size), CONTEXT);
  });
  await model.close();
  return figures;
}

for (const one of CASES) {
  if (!existsSync(one.dir) || !one.name.includes(options.only)) continue;
  const tokenizer = await loadTokenizer(one.dir, `${one.dir}/tokenizer_config.json`);
  const tokenizing = await stepMs(TEXTS, async (text) => tokenizer.encode(text, one.limit));
  const job = {
    model: `${one.dir}/${one.weights}`,
    tokenizer: `${one.dir}/tokenizer.json`,
    texts: TEXTS,
    output: one.output,
    limit: one.limit,
    length: one.length,
    pad: one.pad,
  };
  const python = (sizes, rounds) =>
    runPython(options.python, new URL('./peer.py', import.meta.url), { ...job, sizes, rounds });
  // Dynamic int8 is deterministic only without batching, so compare that.
  const fastest = one.alone ? [1] : [1, 8, 32];
  printTable(`256 texts of 4 to 80 words, ${one.name} (tokenization here: ${tokenizing.toFixed(3)} ms per text)`, [
    ['Python: tokenizers, onnxruntime', python(fastest, options.rounds)],
    ['@huggingface/transformers', await transformersJs(one, fastest, options.rounds)],
    ['this server', await ours(one)],
    ['Python, all texts in one padded batch', python([COUNT], 1)],
    ['@huggingface/transformers, all texts in one padded batch', await transformersJs(one, [COUNT], 1)],
  ]);
}
