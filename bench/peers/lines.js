// What is compared: for each server its models, and the lines of the table that it serves.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { wordErrors } from '../speech/audio-files.js';
import { inRepository } from '../support/measure.js';
import { TEXTS } from '../text/texts.js';
import { byCallers } from './callers.js';
import { startImageServer } from './image-server.js';
import { Absent, startPython } from './python.js';
import { startTei } from './tei.js';

const MINILM = 'Xenova/all-MiniLM-L6-v2';
const GRAPH = 'onnx/model_quantized.onnx';
const DIMENSIONS = 384;
/** Faces: calls per turn. */
const COUNT = 16;
/** Images of 4 callers: calls per turn. */
const CALLS = 64;

function cosine(one, other) {
  const dot = (a, b) => a.reduce((sum, value, index) => sum + value * b[index], 0);
  return `cosine ${(dot(one, other) / Math.sqrt(dot(one, one) * dot(other, other))).toFixed(4)}`;
}

function differingWords(own, theirs) {
  const all = own.map((text, index) => wordErrors(text, theirs[index]));
  const sum = (field) => all.reduce((total, one) => total + one[field], 0);
  return `${sum('errors')} of ${sum('words')} words differ`;
}

const vectorOf = ({ results }) => results.at(-1).value.vector;

function speech({ python, model, shared }) {
  const short = `${shared}/samples/speech/sense_and_sensibility_01_austen_64kb-0880.wav`;
  const long = `${shared}/samples/speech/jfk.wav`;
  const threads = 2;
  const start = () => {
    if (model === undefined) throw new Absent('faster-whisper needs --model DIR, Whisper base in its format');
    return startPython(python, '../speech/peer.py', { model, threads });
  };
  const line = (name, paths, callers) => {
    const contents = paths.map((path) => readFileSync(path));
    return {
      name,
      peer: 'faster-whisper int8, 2 threads',
      calls: paths.length,
      start,
      turns: [{ do: 'transcribe', with: [paths, 'en', callers] }],
      ours: async (client) => {
        const answers = await byCallers(callers, contents, (one) => client.transcribe(one, { language: 'en' }));
        return answers.map(({ text }) => text);
      },
      compare: differingWords,
    };
  };
  const mixed = Array.from({ length: 16 }, (_, index) => (index % 2 === 0 ? short : long));
  return [
    line('speech, 3 s', new Array(4).fill(short), 1),
    line('speech, 11 s', new Array(4).fill(long), 1),
    ...[1, 4, 16].map((callers) =>
      line(`speech, 16 files of 3 s and 11 s, ${callers} caller${callers === 1 ? '' : 's'}`, mixed, callers),
    ),
  ];
}

function text({ python, shared }) {
  const dir = `${shared}/models/${MINILM}`;
  const job = { dir, file: GRAPH, dimensions: DIMENSIONS };
  const peers = [
    ['fastembed', () => startPython(python, '../text/fastembed_peer.py', job)],
    ['text-embeddings-inference', () => startTei(dir, GRAPH, TEXTS.length)],
  ];
  const short = TEXTS.filter((one) => one.split(' ').length <= 20).slice(0, 32);
  const line = (name, texts, size) =>
    peers.map(([peer, start]) => ({
      name,
      peer,
      calls: texts.length / size,
      start,
      turns: [{ do: 'embed', with: [texts, size] }],
      ours: async (client) => {
        let last;
        for (let from = 0; from < texts.length; from += size)
          last = await client.embedText(texts.slice(from, from + size), { model: 'text' });
        return vectorOf(last);
      },
      compare: cosine,
    }));
  return [
    ...line('text, MiniLM int8, one of 4 to 20 words a call, one caller', short, 1),
    ...line('text, MiniLM int8, 256 of 4 to 80 words in one call', TEXTS, TEXTS.length),
  ];
}

async function images({ python, shared, dir: temporary }) {
  const dir = `${shared}/samples/photos`;
  const names = readdirSync(dir).filter((name) => /\.(png|jpe?g)$/.test(name));
  const paths = names.sort().map((name) => join(dir, name));
  const model = inRepository('demo/models/heimdex/siglip-pocket/onnx/vision_model.onnx');
  const line = (name, chosen, size, sizes) => {
    const contents = chosen.map((path) => readFileSync(path));
    return {
      name,
      peer: 'Pillow and onnxruntime',
      calls: chosen.length / size,
      start: () => startPython(python, '../vision/peer.py', { model, images: chosen }),
      turns: sizes.map((one) => ({ do: 'embed', with: [one] })),
      ours: async (client) => {
        let last;
        for (let from = 0; from < contents.length; from += size)
          last = await client.embedImage(contents.slice(from, from + size));
        return vectorOf(last);
      },
      compare: cosine,
    };
  };
  return [
    line('image, siglip-pocket, a photograph a call, one caller', paths, 1, [1]),
    line('image, siglip-pocket, 16 photographs in one call', [...paths, ...paths], 16, [1, 8]),
    await manyCallers(python, model, paths[0], temporary),
  ];
}

/** 4 callers at a time, as a server has them. */
async function manyCallers(python, model, photo, dir) {
  const image = join(dir, '1280x720.jpg');
  const upright = sharp(photo).removeAlpha().resize(1280, 720, { fit: 'fill' });
  await upright.jpeg({ quality: 90 }).toFile(image);
  const contents = new Array(CALLS).fill(readFileSync(image));
  return {
    name: 'image, siglip-pocket, a JPEG of 1280 x 720 a call, 4 callers',
    peer: 'a plain Python server',
    calls: CALLS,
    start: () => startImageServer(python, model),
    turns: [{ with: [contents, 4] }],
    ours: async (client) => vectorOf((await byCallers(4, contents, (one) => client.embedImage([one]))).at(-1)),
    compare: cosine,
  };
}

async function faces({ python, shared, dir }) {
  const model = `${shared}/models/opencv/face_detection_yunet/face_detection_yunet_2023mar.onnx`;
  const line = async (width, height) => {
    const image = join(dir, `${width}x${height}.jpg`);
    const photo = sharp(`${shared}/samples/photos/astronaut.png`).resize(width, height, { fit: 'fill' });
    await photo.jpeg({ quality: 90 }).toFile(image);
    const content = readFileSync(image);
    return {
      name: `faces, a JPEG of ${width} x ${height} a call, one caller`,
      peer: 'OpenCV',
      calls: COUNT,
      start: () => startPython(python, '../vision/faces.py', { model, image, count: COUNT }),
      turns: [{ do: 'whole' }],
      ours: async (client) => {
        const answers = await byCallers(1, new Array(COUNT).fill([content]), (one) => client.detectFaces(one));
        return answers.at(-1).results[0].value.faces.length;
      },
      compare: (own, theirs) => `${own} and ${theirs} found`,
    };
  };
  return [await line(512, 512), await line(1000, 872)];
}

/** The checkpoint, as its name means for users, with the manifest of its stand-in's hash. */
const SPEECH = { ASR_MODEL: 'base', MODELS_MANIFEST: inRepository('bench/default-stack/models.json') };

/** Servers: settings, and a function that returns the lines. */
export const SERVERS = [
  { settings: SPEECH, linesOf: speech },
  { settings: { LOAD_BGE_M3: 'true', TEXT_MODEL_NAME: MINILM }, linesOf: text },
  { settings: { VISION_MODEL_NAME: 'heimdex/siglip-pocket' }, linesOf: images },
  { settings: { FEATURE_FACE: 'true' }, linesOf: faces },
];
