import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { saidInThreeMinutes, threeMinutes } from '../../speech/audio-files.js';
import { inRepository } from '../../support/measure.js';
import { wavOf } from '../../support/wav.js';
import { byCallers } from '../callers.js';
import { Absent, startPython } from '../python.js';
import { startWhisperCpp } from '../whisper-cpp.js';
import { differingWords, wrongWords } from './answers.js';

/** The checkpoint, as its name means for users, with the manifest of its stand-in's hash. */
export const SPEECH = { ASR_MODEL: 'base', MODELS_MANIFEST: inRepository('bench/default-stack/models.json') };
/** Seconds of the first pause between sentences, by the length of the whole. */
const LONG = { 146: 0.5, 156: 0.96 };

const count = (number, noun) => `${number} ${noun}${number === 1 ? '' : 's'}`;

/** The peers of speech: a name, and a function that starts it. */
export function speechPeers({ python, model, ggml, threads }) {
  const startFasterWhisper = () => {
    if (model === undefined) throw new Absent('faster-whisper needs --model DIR, Whisper base in its format');
    return startPython(python, '../speech/peer.py', { model, threads });
  };
  return {
    fasterWhisper: { peer: `faster-whisper int8, ${count(threads, 'thread')}`, start: startFasterWhisper },
    whisperCpp: {
      peer: `whisper.cpp q8_0, ${count(threads, 'thread')}`,
      start: () => startWhisperCpp(ggml, threads),
    },
  };
}

/** The files of several callers: 16, of 3 s and 11 s in turns. */
export function mixedFiles(shared) {
  const { short, long } = samples(shared);
  return Array.from({ length: 16 }, (_, index) => (index % 2 === 0 ? short : long));
}

function samples(shared) {
  return {
    short: `${shared}/samples/speech/sense_and_sensibility_01_austen_64kb-0880.wav`,
    long: `${shared}/samples/speech/jfk.wav`,
  };
}

/** Resolves with the texts of the files, transcribed by this server for several callers at a time. */
export async function transcribeAll(client, contents, callers, options) {
  const answers = await byCallers(callers, contents, (one) => client.transcribe(one, options));
  return answers.map(({ text }) => text);
}

/** A line of several files. Without `language` both detect it. */
function line(name, { peer, start }, paths, { callers = 1, language }) {
  const contents = paths.map((path) => readFileSync(path));
  return {
    name,
    peer,
    calls: paths.length,
    start,
    turns: [{ do: 'transcribe', with: [paths, language, callers] }],
    ours: (client) => transcribeAll(client, contents, callers, { language }),
    compare: differingWords,
  };
}

/** Lines of a minute and more: each window with the text before it, and windows apart, which faster-whisper decodes in batches. */
async function longLines({ peer, start }, seconds, { shared, dir }) {
  const path = join(dir, `${seconds}.wav`);
  writeFileSync(path, wavOf(await threeMinutes(shared, 3, LONG[seconds])));
  const content = readFileSync(path);
  const each = (name, other, how, options) => ({
    name: `speech, ${seconds} s, ${name}`,
    peer: other,
    calls: 1,
    start,
    turns: [{ do: how, with: [[path], 'en', 1] }],
    ours: (client) => transcribeAll(client, [content], 1, { language: 'en', ...options }),
    compare: (own, theirs) => wrongWords(own, theirs, saidInThreeMinutes()),
  });
  return [
    each('with the text before', peer, 'transcribe', {}),
    each('windows apart', `${peer}, batches of 8`, 'batched', { conditionOnPreviousText: false }),
  ];
}

export async function speech(options) {
  const { fasterWhisper, whisperCpp } = speechPeers(options);
  const { short, long } = samples(options.shared);
  const mixed = mixedFiles(options.shared);
  const given = { language: 'en' };
  const both = (peer, how, words) => [
    line(`speech, 3 s${words}`, peer, new Array(4).fill(short), how),
    line(`speech, 11 s${words}`, peer, new Array(4).fill(long), how),
  ];
  const several = (peer, callers) =>
    line(`speech, 16 files of 3 s and 11 s, ${count(callers, 'caller')}`, peer, mixed, { callers, ...given });
  return [
    ...both(fasterWhisper, given, ''),
    ...both(fasterWhisper, {}, ', language detected'),
    ...both(whisperCpp, given, ''),
    ...[1, 4, 16].map((callers) => several(fasterWhisper, callers)),
    ...(await longLines(fasterWhisper, 146, options)),
    ...(await longLines(fasterWhisper, 156, options)),
  ];
}
