// Audio seconds a second against faster-whisper and transformers.js: `node bench/speech/run.js --model FOLDER --python PATH`.
// See README.md.
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { env, pipeline } from '@huggingface/transformers';
import { openAudio } from '../../inference/dist/src/media/audio/index.js';
import { load } from '../../inference/dist/src/models/whisper/model.js';
import { transcribeWithWhisper } from '../../inference/dist/src/models/whisper/transcribe.js';
import { parseSpeechOptions } from '../../inference/dist/src/services/speech-options.js';
import { CONTEXT, inRepository, modelFiles, OPTIONS, runPython } from '../support/measure.js';

const { values: flags } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    /** Folder of faster-whisper's form of the same weights. */
    model: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    shared: { type: 'string', default: inRepository('../shared') },
  },
});
const rounds = Number(flags.rounds);
const ID = 'onnx-community/whisper-base_timestamped';
const FOLDER = `${flags.shared}/models/${ID}`;
const SPEECH = `${flags.shared}/samples/speech`;
const SENSE = `${SPEECH}/sense_and_sensibility_01_austen_64kb`;
const LONG = [
  `${SPEECH}/jfk.wav`,
  `${SENSE}-0870.wav`,
  inRepository('demo/samples/speech/search.flac'),
  `${SENSE}-0880.wav`,
  inRepository('demo/samples/speech/party.flac'),
  `${SENSE}-0930.wav`,
  inRepository('demo/samples/speech/models.flac'),
];
const RATE = 16_000;
const signal = new AbortController().signal;

function joined(parts) {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}

async function samplesOf(path) {
  const source = await openAudio(await readFile(path), { maxSeconds: 3600, signal });
  const parts = [];
  for (let part = await source.read(RATE); part !== null; part = await source.read(RATE)) parts.push(part);
  await source.close();
  return joined(parts);
}

/** All recordings three times in another order each time, with pauses: two and a half minutes. */
async function threeMinutes() {
  const pieces = await Promise.all(LONG.map(samplesOf));
  const all = [];
  for (let turn = 0; turn < 3; turn += 1) {
    for (let index = 0; index < pieces.length; index += 1) {
      all.push(pieces[(index * 3 + turn) % pieces.length], new Float32Array((0.5 + 0.2 * turn) * RATE));
    }
  }
  return joined(all);
}

function wavOf(samples) {
  const wav = Buffer.alloc(44 + samples.length * 2);
  wav.write('RIFF', 0);
  wav.writeUInt32LE(36 + samples.length * 2, 4);
  wav.write('WAVEfmt ', 8);
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(1, 22);
  wav.writeUInt32LE(RATE, 24);
  wav.writeUInt32LE(RATE * 2, 28);
  wav.writeUInt16LE(2, 32);
  wav.writeUInt16LE(16, 34);
  wav.write('data', 36);
  wav.writeUInt32LE(samples.length * 2, 40);
  samples.forEach((sample, index) => {
    wav.writeInt16LE(Math.max(-32_768, Math.min(32_767, Math.round(sample * 32_767))), 44 + index * 2);
  });
  return wav;
}

/** The best of `rounds` after one that is not counted. */
async function best(run) {
  const figures = { wallSeconds: Number.POSITIVE_INFINITY, cpuSeconds: Number.POSITIVE_INFINITY, text: '' };
  for (let round = 0; round <= rounds; round += 1) {
    const cpu = process.cpuUsage();
    const startedAt = performance.now();
    figures.text = await run();
    figures.wallSeconds = Math.min(figures.wallSeconds, (performance.now() - startedAt) / 1000);
    const used = process.cpuUsage(cpu);
    figures.cpuSeconds = Math.min(figures.cpuSeconds, (used.user + used.system) / 1e6);
  }
  return figures;
}

/** From the file to the words, decoding of the audio included; the model runs in this process. */
async function ours(model, path) {
  const source = await openAudio(await readFile(path), { maxSeconds: 3600, signal });
  const submit = async (window) => {
    const [outcome] = await model.run([window], CONTEXT);
    if (!outcome.ok) throw outcome.error;
    return outcome.value;
  };
  let text = '';
  for await (const event of transcribeWithWhisper(source, parseSpeechOptions(undefined), submit, signal)) {
    if (event.type === 'segment') text += event.segment.text;
  }
  await source.close();
  return text.trim();
}

const long = await threeMinutes();
const longPath = join(tmpdir(), `heimdex-bench-${process.pid}.wav`);
await writeFile(longPath, wavOf(long));
const files = [`${SENSE}-0880.wav`, `${SENSE}-0930.wav`, `${SPEECH}/jfk.wav`, longPath];
const seconds = await Promise.all(files.map(async (path) => (await samplesOf(path)).length / RATE));

const weights = {
  encoder: 'onnx/encoder_model_quantized.onnx',
  decoder: 'onnx/decoder_model_merged_quantized.onnx',
};
const model = await load(modelFiles(ID, FOLDER, weights), OPTIONS);
const mine = [];
for (const path of files) mine.push(await best(() => ours(model, path)));
const megabytes = process.resourceUsage().maxRSS / 1024;
await model.close();

env.allowRemoteModels = false;
env.useFSCache = false;
const recognizer = await pipeline('automatic-speech-recognition', FOLDER, {
  dtype: 'q8',
  session_options: { intraOpNumThreads: 1, extra: { session: { intra_op: { allow_spinning: '0' } } } },
});
const theirs = [];
for (const path of files) {
  const samples = await samplesOf(path);
  theirs.push(
    await best(async () => (await recognizer(samples, { return_timestamps: true, chunk_length_s: 30 })).text.trim()),
  );
}

const peer =
  flags.model === undefined
    ? undefined
    : runPython(flags.python, new URL('./peer.py', import.meta.url), { model: flags.model, files, rounds });

// One thread each: CPU seconds are the time it takes, and other programs do not change them much.
console.log('| recording | program | seconds of audio a second | CPU seconds | times faster-whisper |');
console.log('|---|---|---|---|---|');
files.forEach((_, index) => {
  const faster = peer?.answers[index];
  const rows = [
    ['faster-whisper, int8', faster?.sequential],
    ['faster-whisper, int8, batches of 8', faster?.batched],
    ['@huggingface/transformers, q8', theirs[index]],
    ['this server, q8', mine[index]],
  ];
  for (const [name, figures] of rows) {
    if (figures === undefined) continue;
    const rate = seconds[index] / figures.wallSeconds;
    const times = faster === undefined ? '-' : (faster.sequential.cpuSeconds / figures.cpuSeconds).toFixed(2);
    const length = `${seconds[index].toFixed(1)} s`;
    console.log(`| ${length} | ${name} | ${rate.toFixed(1)} | ${figures.cpuSeconds.toFixed(2)} | ${times} |`);
  }
});
console.log(
  `\nlargest resident set: this server ${megabytes.toFixed(0)} MB, faster-whisper ${peer?.megabytes.toFixed(0) ?? '-'} MB\n`,
);
files.forEach((_, index) => {
  console.log(`${seconds[index].toFixed(1)} s\n  ours           ${mine[index].text.slice(0, 200)}`);
  if (peer !== undefined) console.log(`  faster-whisper ${peer.answers[index].sequential.text.slice(0, 200)}`);
});
