// Measures the effect of token merging on short audio: `node bench/speech/short.js --cache FILE` (needs ffmpeg with flite).
// Results: results.md.
import { appendFile, readFile } from 'node:fs/promises';
import { compressionRatio } from '../../inference/dist/src/models/decoding/compression-ratio.js';
import { MergedDecoder } from '../../inference/dist/src/models/decoding/merged-decoder.js';
import { indicesOfHighest, logSumExp } from '../../inference/dist/src/models/decoding/scores.js';
import { readWhisperConfig } from '../../inference/dist/src/models/whisper/config.js';
import { Encoder } from '../../inference/dist/src/models/whisper/encoder.js';
import { likeliestLanguage } from '../../inference/dist/src/models/whisper/languages.js';
import { layoutOf } from '../../inference/dist/src/models/whisper/length.js';
import { LogitsProcessors } from '../../inference/dist/src/models/whisper/logits-processors.js';
import { MelExtractor } from '../../inference/dist/src/models/whisper/mel.js';
import { Vocabulary, WhisperTokenizer } from '../../inference/dist/src/models/whisper/vocabulary.js';
import { OPTIONS, readOptions } from '../support/measure.js';
import { RATE, wordErrors } from './audio-files.js';
import { shortClips } from './clips.js';
import { whisperDir } from './transcribe.js';

const flags = readOptions({
  /** File that caches results. */
  cache: undefined,
  /** Unmerged positions of trailing silence, and the number of positions merged into one after them. */
  layouts: '64:4',
  /** Regular expression that selects clips. */
  only: '',
});
const LAYOUTS = [...flags.layouts.split(','), 'full'];

const dir = whisperDir(flags.shared);
const tokenizer = await WhisperTokenizer.open(dir);
const config = await readWhisperConfig(dir, tokenizer);
const vocabulary = new Vocabulary(tokenizer, config);
const mel = await MelExtractor.open(config.melCount);
const encoder = await Encoder.open(`${dir}/onnx/encoder_model_quantized.onnx`, config.melCount, OPTIONS);
const decoder = await MergedDecoder.open(`${dir}/onnx/decoder_model_merged_quantized.onnx`, config, OPTIONS);
const { special } = vocabulary;
const rules = new LogitsProcessors({
  special,
  isText: (token) => vocabulary.isText(token),
  suppressed: config.suppressed,
  suppressedFirst: config.suppressedFirst,
  timestamps: true,
  maxInitialTimestampIndex: config.maxInitialTimestampIndex,
});
const seconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

/** Greedy decoding that records the five most likely tokens of each step with their log-probabilities. */
async function decoded(samples, name) {
  const layout = name === 'full' ? undefined : layoutOf(samples.length, ...name.split(':').map(Number));
  const began = seconds();
  const audio = await encoder.run(await mel.extract(samples, layout?.frames), layout);
  const encodeSeconds = seconds() - began;
  let output = await decoder.start(audio, [[special.startOfTranscript]]);
  const first = output.logits(0);
  const transcribed = likeliestLanguage(first, config.languages);
  const noSpeech = Math.exp(first[special.noSpeech] - logSumExp(first));
  output = await decoder.step(output.state, [config.languages.get(transcribed.language)]);
  output = await decoder.step(output.state, [special.transcribe]);
  const tokens = [];
  const steps = [];
  let logits = output.logits(0);
  while (tokens.length < 224) {
    rules.apply(logits, tokens);
    const total = logSumExp(logits);
    const best = indicesOfHighest(logits, 5);
    steps.push(best.map((token) => [token, Number((logits[token] - total).toFixed(4))]));
    if (best[0] === special.endOfText || best[0] === undefined) break;
    tokens.push(best[0]);
    output = await decoder.step(output.state, [best[0]]);
    logits = output.logits(0);
  }
  return {
    language: transcribed.language,
    languageProbability: Number(transcribed.probability.toFixed(4)),
    noSpeech: Number(noSpeech.toFixed(4)),
    text: vocabulary.decode(tokens),
    steps,
    encodeSeconds: Number(encodeSeconds.toFixed(3)),
    seconds: Number((seconds() - began).toFixed(3)),
  };
}

const cached = new Map();
if (flags.cache !== undefined) {
  const lines = await readFile(flags.cache, 'utf8').catch(() => '');
  for (const line of lines.split('\n').filter((one) => one !== '')) {
    const row = JSON.parse(line);
    cached.set(row.name, row);
  }
}
const clips = await shortClips(flags.shared, flags.ffmpeg);
console.error(`${clips.length} clips, ${cached.size} cached`);
for (const { name, samples, said } of clips.filter((clip) => new RegExp(flags.only).test(clip.name))) {
  const row = cached.get(name) ?? { name, seconds: samples.length / RATE, said, by: {} };
  const missing = LAYOUTS.filter((layout) => row.by[layout] === undefined);
  if (missing.length === 0) continue;
  for (const layout of missing) row.by[layout] = await decoded(samples, layout);
  cached.set(name, row);
  // The last line of a clip counts.
  if (flags.cache !== undefined) await appendFile(flags.cache, `${JSON.stringify(row)}\n`);
}

const plain = (text) =>
  text
    .toLowerCase()
    .replace(/\bmister\b/g, 'mr')
    .replace(/[^\p{L}\p{N}' ]+/gu, ' ')
    .trim()
    .split(/ +/)
    .join(' ');
const wordOf = (token) => (token === special.endOfText ? 'end of text' : vocabulary.plainWord(token));

/** Returns the maximum probability of another word, relative to the chosen word. */
function largestRival({ steps }) {
  const parts = steps.map(([[token, own] = [], [rival, other] = []]) => {
    const words = [token, rival].map((one) => (one === undefined ? '' : wordOf(one)));
    return words.includes('') || words[0] === words[1] ? 0 : Math.exp(other - own);
  });
  return Math.max(0, ...parts);
}

/** Whether the thresholds cause a fallback. */
function fails({ text, steps, noSpeech }) {
  const mean = steps.reduce((sum, [[, own] = [0, 0]]) => sum + own, 0) / steps.length;
  return (mean < -1 && noSpeech <= 0.6) || compressionRatio(text.trim()) > 2.4;
}

function errorsOf(rows, transcribed, expected) {
  let errors = 0;
  let words = 0;
  for (const row of rows) {
    const said = expected(row);
    if (said === undefined || plain(said) === '') continue;
    const found = wordErrors(transcribed(row), said);
    errors += found.errors;
    words += found.words;
  }
  return { errors, words };
}

const rows = [...cached.values()].filter(({ by }) => LAYOUTS.every((layout) => by[layout] !== undefined));
const whole = (row) => row.by.full;
const spoken = errorsOf(
  rows,
  (row) => whole(row).text,
  ({ said }) => said,
);
const mean = (value) => (rows.reduce((sum, row) => sum + value(row), 0) / rows.length).toFixed(2);
console.log(
  `${rows.length} clips, ${mean(({ seconds: length }) => length)} s on average; without merging: ${spoken.errors} of`,
);
console.log(`${spoken.words} spoken words wrong, ${mean((row) => whole(row).seconds)} CPU s per clip\n`);
console.log(
  '| layout | doubt threshold | decoded twice | clips with different words | different words | spoken words wrong | CPU s per clip |',
);
console.log('|---|---|---|---|---|---|---|');
for (const layout of LAYOUTS.slice(0, -1)) {
  for (const doubtful of [0.3, 0.5, 0.6, 0.7, 0.8, 0.9, Number.POSITIVE_INFINITY]) {
    const again = (row) => fails(row.by[layout]) || largestRival(row.by[layout]) > doubtful;
    const transcribed = (row) => (again(row) ? whole(row) : row.by[layout]);
    const other = rows.filter((row) => plain(transcribed(row).text) !== plain(whole(row).text)).length;
    const differ = errorsOf(
      rows,
      (row) => transcribed(row).text,
      (row) => whole(row).text,
    );
    const wrong = errorsOf(
      rows,
      (row) => transcribed(row).text,
      ({ said }) => said,
    );
    const cost = mean((row) => row.by[layout].seconds + (again(row) ? whole(row).seconds : 0));
    console.log(
      `| ${layout} | ${doubtful} | ${rows.filter(again).length} | ${other} | ${differ.errors} of ${differ.words} | ${wrong.errors} of ${wrong.words} | ${cost} |`,
    );
  }
}
await Promise.all([mel.close(), encoder.close(), decoder.close()]);
