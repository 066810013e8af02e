// Compares the architectures and layouts of the large models with Python: `node bench/reference/run.js DIR`. See README.md.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { LOADERS } from '../../inference/dist/src/models/loaders.js';
import { findBeside } from '../../inference/dist/src/models/repository.js';
import { loadTokenizer } from '../../inference/dist/src/tokenizer/index.js';
import { CONTEXT, cosine, modelFiles, OPTIONS } from '../support/measure.js';

const dir = process.argv[2];
if (dir === undefined) {
  console.error('Usage: node bench/reference/run.js DIR (filled by make.py)');
  process.exit(2);
}

/** Returns the minimum cosine to Python's vectors. */
function minCosine(outcomes, expected) {
  return Math.min(
    1,
    ...outcomes.map((outcome, index) => {
      if (!outcome.ok) throw outcome.error;
      return cosine(outcome.value.vector, expected[index].vector);
    }),
  );
}

/** Returns the number of texts with token ids other than Python's, ignoring padding. */
async function otherIds({ family }, files, texts, counts) {
  const first = Object.values(files.weights).at(-1);
  const path = await findBeside(files.dir, first, 'tokenizer.json');
  const config = await findBeside(files.dir, first, 'tokenizer_config.json');
  const tokenizer = await loadTokenizer(dirname(path), config, { lowerCase: family === 'siglip' });
  const limit = family === 'siglip' ? 64 : 8192;
  return texts.filter(({ text, ids }, index) => {
    const ours = tokenizer.encode(text, Math.min(limit, counts[index])).ids;
    const same = ours.length === counts[index] && ours.every((id, at) => id === ids[at]);
    const rest = ids.slice(ours.length);
    return !(same && rest.every((id) => id === tokenizer.padId));
  }).length;
}

console.log('| model | texts: min cosine | different ids | images: min cosine | required |');
console.log('|---|---|---|---|---|');
for (const model of JSON.parse(readFileSync(`${dir}/expected.json`, 'utf8'))) {
  const [id] = model.name.split(',');
  // A graph may have its weights in any of the files, as an export leaves them.
  const externalFiles = readdirSync(model.dir, { recursive: true }).map((name) => join(model.dir, name));
  const files = { ...modelFiles(id, model.dir, model.weights), externalFiles };
  const { texts, images } = model.expected;
  try {
    const loaded = await LOADERS[model.family](files, OPTIONS);
    const ask = (items) => loaded.run(items, CONTEXT);
    const words = await ask(texts.map(({ text }) => ({ type: 'text', text, normalize: true, truncate: true })));
    const seen = await ask(images.map(({ path }) => ({ type: 'image', content: readFileSync(path), normalize: true })));
    const counts = words.map(({ value }) => value.tokenCount);
    const figures = [
      minCosine(words, texts).toFixed(6),
      await otherIds(model, files, texts, counts),
      images.length === 0 ? '-' : minCosine(seen, images).toFixed(6),
      model.minCosine,
    ];
    console.log(`| ${model.name} | ${figures.join(' | ')} |`);
    if (figures[1] > 0 || Math.min(figures[0], figures[2] === '-' ? 1 : figures[2]) < model.minCosine)
      process.exitCode = 1;
    await loaded.close();
  } catch (error) {
    console.log(`| ${model.name} | ${String(error).split('\n')[0]} | | | |`);
    process.exitCode = 1;
  }
}
