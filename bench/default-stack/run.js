/**
 * This server with its default configuration beside the Python service's models (peer.py), in one run: both take turns at everything,
 * a line of a Markdown table for each thing measured, medians
 * (of three times the rounds for what takes milliseconds). Both may use two threads, or with `--device cuda` a GPU. See README.md.
 * Usage: MODELS_DIR=VOLUME node bench/default-stack/run.js --python PYTHON --dir DIR [--rounds 3] [--windows 3] [--only speech]
 *        [--device cuda] [--shared ../shared]
 */
import '../support/offline.js';
import { readFileSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createInferenceClient } from '@heimdex/client';
import { startPython } from '../peers/python.js';
import { started, stop } from '../serving/setup.js';
import { audioFiles, joined, RATE, samplesOf } from '../speech/audio-files.js';
import { temporaryDir } from '../support/dir.js';
import { median, readOptions } from '../support/measure.js';
import { memoryMib } from '../support/memory.js';
import { wavOf } from '../support/wav.js';

const { python, rounds, shared, dir, windows, only, device } = readOptions({
  dir: undefined,
  rounds: 3,
  windows: 3,
  // Only the lines that have this in their names.
  only: '',
  device: 'cpu',
});
if (dir === undefined) throw new Error('--dir DIR: the checkpoints, as make.js and base.js wrote them');
const THREADS = 2;
// Threads of both wait busily for a while after a call, which would take a core from the other.
const PAUSE_MS = 500;
const ONE = { WORKERS_SPEECH: '1', WORKERS_VISION: '1', WORKERS_TEXT: '1', WORKERS_FACES: '1' };
const work = temporaryDir();

const secondsSince = (startedAt) => (performance.now() - startedAt) / 1000;

/** Starts this server; `seconds` to the moment it serves. */
async function startServer(variables) {
  const startedAt = performance.now();
  const server = await started({ ...ONE, WORKER_THREADS: String(THREADS), DEVICE: device, ...variables });
  return { ...server, seconds: secondsSince(startedAt) };
}

/** Starts Python; `ask` resolves with the seconds of a command and its result. */
async function startPeer() {
  const { take, pid, close } = await startPython(python, '../default-stack/peer.py', { dir, work, device });
  return { ask: (command, ...args) => take({ do: command, with: args }), pid, close };
}

function print(name, ours, theirs, unit, digits) {
  const [a, b] = [median(ours), median(theirs)];
  const load = loadavg()[0].toFixed(1);
  console.log(
    `| ${name} | ${a.toFixed(digits)} ${unit} | ${b.toFixed(digits)} ${unit} | ${(a / b).toFixed(2)} | ${load} |`,
  );
}

/** The recorded audio files again and again, as a WAV file of this duration. */
async function speechOf(seconds) {
  const files = audioFiles(shared);
  const all = joined(await Promise.all([0, 1, 5].map((index) => samplesOf(files[index]))));
  return wavOf(Float32Array.from({ length: seconds * RATE }, (_, at) => all[at % all.length]));
}

/** Both in turns, after one call of each that does not count. */
async function compare(
  name,
  ours,
  theirs,
  { unit = 's', warm = true, turns = unit === 'ms' ? 3 * rounds : rounds } = {},
) {
  if (!name.includes(only)) return undefined;
  const times = { ours: [], theirs: [] };
  let answers;
  for (let round = warm ? -1 : 0; round < turns; round++) {
    const startedAt = performance.now();
    const own = await ours();
    const seconds = secondsSince(startedAt);
    await sleep(PAUSE_MS);
    const other = await theirs();
    await sleep(PAUSE_MS);
    answers = [own, other];
    console.error(`${name}, turn ${round}: ${seconds.toFixed(3)} s, Python ${other.seconds.toFixed(3)} s`);
    if (round < 0) continue;
    times.ours.push(unit === 'ms' ? seconds * 1000 : seconds);
    times.theirs.push(unit === 'ms' ? other.seconds * 1000 : other.seconds);
  }
  print(name, times.ours, times.theirs, unit, unit === 'ms' ? 0 : 2);
  return answers;
}

const photo = join(shared, 'samples/photos/astronaut.png');
const first = await startPeer();
const { text, tokens } = (await first.ask('inputs', photo)).result;
const { result: versions } = await first.ask('versions');
await first.close();
console.log(
  `Python: openai-whisper ${versions.whisper}, torch ${versions.torch}; ${device}, ${THREADS} threads; medians of ${rounds}\n`,
);
console.log('| | this server | Python | ratio | load of the machine |\n|---|---|---|---|---|');

const ALL = { LOAD_BGE_M3: 'true', FEATURE_FACE: 'true', ...(device === 'cpu' && { MEMORY_LIMIT_GB: '6' }) };
const ready = { ours: [], theirs: [] };
let server;
let peer;
for (let round = 0; round < rounds; round++) {
  if (round > 0) await Promise.all([stop(server), peer.close()]);
  server = await startServer(ALL);
  ready.ours.push(server.seconds);
  const startedAt = performance.now();
  peer = await startPeer();
  await peer.ask('load');
  ready.theirs.push(secondsSince(startedAt));
}
print('start to ready, files in the page cache', ready.ours, ready.theirs, 's', 1);
print('memory (PSS) when ready', [memoryMib(server.child.pid)], [memoryMib(peer.pid)], 'MiB', 0);

const client = createInferenceClient({ address: server.address });
const jpegPath = join(work, 'photo.jpg');
const jpeg = readFileSync(jpegPath);
const SHORT = 'a dog in the snow';
const ownText = () => client.embedText([SHORT]);
const ownSentence = (one) => () => client.embedText([one], { model: 'text' });
await compare(
  'a JPEG of 1280x720 to a vector (SigLIP)',
  () => client.embedImage([jpeg]),
  () => peer.ask('image', jpegPath),
);
await compare('a short text to a vector (SigLIP, 64 positions)', ownText, () => peer.ask('siglip', true), {
  unit: 'ms',
});
await compare('the same, Python as its service does: unpadded', ownText, () => peer.ask('siglip', false), {
  unit: 'ms',
});
await compare('a short sentence (BGE-M3)', ownSentence(SHORT), () => peer.ask('sentence', SHORT), { unit: 'ms' });
await compare(`a text of ${tokens} tokens (BGE-M3)`, ownSentence(text), () => peer.ask('sentence', text));
const portrait = readFileSync(photo);
const ownFaces = () => client.detectFaces([portrait], { scoreThreshold: 0.6 });
await compare('faces of a photograph of 512x512, from PNG', ownFaces, () => peer.ask('faces', photo), { unit: 'ms' });
print('memory (PSS) after these calls', [memoryMib(server.child.pid)], [memoryMib(peer.pid)], 'MiB', 0);

// Random weights: at temperature 0 alone, and no result repeated. They end a window after 72 tokens, with no text before it (make.js).
const fixed = { language: 'en', temperatures: [0], compressionRatioThreshold: 1000, logProbThreshold: -1000 };
const half = await speechOf(30);
const minute = await speechOf(60);
const minutePath = join(work, 'minute.wav');
writeFileSync(minutePath, minute);
const tokensOf = ({ segments }) => segments.reduce((sum, segment) => sum + segment.tokens.length, 0);
const speech = await compare(
  'a minute of speech, two windows of 72 tokens one after the other, Whisper medium',
  async () => [await client.transcribe(half, fixed), await client.transcribe(half, fixed)],
  () => peer.ask('minute', 'medium', minutePath),
  { warm: false, turns: windows },
);
const together = { ...fixed, conditionOnPreviousText: false };
const sharing = await compare(
  'the same speech without the text before as a prompt: windows share the decoder',
  () => client.transcribe(minute, together),
  () => ({ seconds: speech?.[1].seconds }),
  { warm: false, turns: windows },
);
print('memory (PSS) after speech as well', [memoryMib(server.child.pid)], [memoryMib(peer.pid)], 'MiB', 0);
const base = await startServer({ ASR_MODEL: 'base', VISION_MODEL_NAME: 'none' });
const baseClient = createInferenceClient({ address: base.address });
await peer.ask('load base');
const said = await compare(
  'a minute of speech, Whisper base, its own weights',
  () => baseClient.transcribe(minute, { language: 'en', temperatures: [0] }),
  () => peer.ask('minute', 'base', minutePath),
  { warm: false },
);
if (said !== undefined)
  console.log(
    `\nWords of the minute: ${[said[0], said[1].result].map(({ text: words }) => words.trim().split(/\s+/).length).join(' and ')}.`,
  );
if (speech !== undefined && sharing !== undefined) {
  const [[own, other], [together]] = [speech, sharing];
  console.log(
    `Tokens of the two windows: ${own.map(tokensOf).join(' + ')}, and ${other.result.tokens}; shared: ${tokensOf(together)}.`,
  );
}
client.close();
baseClient.close();
await Promise.all([stop(server), peer.close(), stop(base)]);
