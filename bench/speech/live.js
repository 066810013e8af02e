// Latency of the words of live speech, this server's and a Python reference's: `node bench/speech/live.js --model DIR --python PATH`.
// Results: results.md.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createInferenceClient } from '@heimdex/client';
import { makeVolume } from '../../inference/dist/test/fixtures/volume.js';
import { voiceWeights } from '../../inference/dist/test/support/silero.js';
import { started, stop } from '../serving/setup.js';
import { temporaryDir } from '../support/dir.js';
import { quantile, readOptions, runPython } from '../support/measure.js';
import { wavOf } from '../support/wav.js';
import { audioFiles, editDistances, joined, RATE, SAID, samplesOf, wordErrors } from './audio-files.js';
import { whisperDir } from './transcribe.js';

const flags = readOptions({
  /** faster-whisper's form of Whisper base; its word times are those that both are measured against. */
  model: undefined,
});
const NAME = 'onnx-community/whisper-base_timestamped';
/** Given, and detected. */
const LANGUAGES = ['en', undefined];
/** Of `audioFiles`: 27.5 s, with pauses 32.4 s. */
const SPOKEN = [0, 1, 2, 5];
/** Audio fed at a time, as a microphone gives it. */
const CHUNK_SAMPLES = RATE / 10;

const wordsOf = (text) => text.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? [];

/** Seconds since the start at which each chunk of audio is complete, and its bytes. */
async function* inRealTime(samples, startedAt) {
  const pcm = Int16Array.from(samples, (sample) => Math.round(Math.max(-1, Math.min(1, sample)) * 32_767));
  for (let from = 0; from < pcm.length; from += CHUNK_SAMPLES) {
    const chunk = pcm.slice(from, from + CHUNK_SAMPLES);
    await sleep(Math.max(0, startedAt + ((from + chunk.length) / RATE) * 1000 - performance.now()));
    yield new Uint8Array(chunk.buffer);
  }
}

/** Feeds the samples in real time; returns what was shown when, as live.py does. */
async function shownByServer(client, samples, language) {
  const startedAt = performance.now();
  const raw = { encoding: 'pcm_s16le', sampleRateHz: RATE, channelCount: 1 };
  const events = client.transcribeStream(inRealTime(samples, startedAt), {
    raw,
    live: true,
    ...(language && { language }),
  });
  const shown = [];
  let final = '';
  for await (const event of events) {
    if (event.type === 'segment') final += event.segment.text;
    else if (event.type !== 'partial') continue;
    const seconds = (performance.now() - startedAt) / 1000;
    shown.push({ seconds, final, partial: event.type === 'partial' ? event.partial.text : '' });
  }
  return shown;
}

/** Which of the first words of `said` are in `shown`: the alignment to the prefix with the smallest edit distance, the shortest of equals. */
function recognized(shown, said) {
  const rows = editDistances(shown, said);
  const found = [];
  let at = rows.at(-1).indexOf(Math.min(...rows.at(-1)));
  for (let i = shown.length; i > 0 && at > 0; ) {
    const isSame = shown[i - 1] === said[at - 1];
    if (rows[i - 1][at - 1] + (isSame ? 0 : 1) === rows[i][at]) {
      if (isSame) found.push(at - 1);
      i -= 1;
      at -= 1;
    } else if (rows[i - 1][at] + 1 === rows[i][at]) i -= 1;
    else at -= 1;
  }
  return found;
}

/** Seconds from each word's end to when a text first shows it; words that are never shown are left out. */
function latencies(spoken, shown, textOf) {
  const said = spoken.map(({ text }) => text);
  const at = new Map();
  for (const event of shown) {
    for (const word of recognized(wordsOf(textOf(event)), said)) if (!at.has(word)) at.set(word, event.seconds);
  }
  return [...at].sort(([one], [other]) => one - other).map(([word, seconds]) => seconds - spoken[word].end);
}

function printRow(name, spoken, shown, said) {
  const partial = latencies(spoken, shown, ({ final, partial }) => final + partial);
  const final = latencies(spoken, shown, ({ final }) => final);
  const first = shown.find(({ final, partial }) => wordsOf(final + partial).length > 0);
  const figures = [
    first.seconds - spoken[0].start,
    quantile(partial, 0.5),
    quantile(partial, 0.95),
    quantile(final, 0.5),
    quantile(final, 0.95),
  ].map((seconds) => seconds.toFixed(2));
  console.error(`${name}: ${shown.at(-1).final}`);
  const { errors, words } = wordErrors(shown.at(-1).final, said);
  const row = [name, ...figures, `${partial.length}, ${final.length} of ${spoken.length}`, `${errors} of ${words}`];
  console.log(`| ${row.join(' | ')} |`);
}

const files = audioFiles(flags.shared);
const chunks = await Promise.all(SPOKEN.map((index) => samplesOf(files[index])));
const silence = new Float32Array(RATE);
const samples = joined([silence, ...chunks.flatMap((chunk) => [chunk, silence])]);
const said = SPOKEN.map((index) => SAID[index]).join(' ');
const file = join(temporaryDir(), 'live.wav');
const wav = wavOf(samples);
await writeFile(file, wav);
const volume = await makeVolume({ snapshots: { [NAME]: whisperDir(flags.shared) }, plain: [voiceWeights()] });
try {
  const job = { file, model: flags.model, languages: LANGUAGES.map((language) => language ?? null) };
  const theirs = runPython(flags.python, new URL('./live.py', import.meta.url), job);
  if (theirs === undefined) throw new Error('the word times are those of faster-whisper: give --python and --model');
  const spoken = theirs.words.flatMap(({ text, start, end }) =>
    wordsOf(text).map((word) => ({ text: word, start, end })),
  );
  const env = { HF_HUB_CACHE: volume.cacheDir, ASR_MODEL: NAME, VISION_MODEL_NAME: 'none', FEATURE_VAD: 'true' };
  const server = await started(env);
  const client = createInferenceClient({ address: server.address });
  console.log(`${(samples.length / RATE).toFixed(1)} s\n`);
  console.log(
    '| program | first words | partial, median | 95 % | final, median | 95 % | words shown, final | words wrong |',
  );
  console.log('|---|---|---|---|---|---|---|---|');
  for (const [index, language] of LANGUAGES.entries()) {
    const name = language === undefined ? 'detected' : `language ${language}`;
    // As the reference is: its first run is not measured.
    await client.transcribe(wav, { clipEndSeconds: 5 });
    printRow(`faster-whisper, ${name}`, spoken, theirs.shown[index], said);
    printRow(`this server, ${name}`, spoken, await shownByServer(client, samples, language), said);
  }
  client.close();
  await stop(server);
} finally {
  await volume.remove();
}
