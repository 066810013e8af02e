import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type InferenceClient, valuesOf } from '@heimdex/client';
import { startHub } from '@heimdex/hub';
import { samplesIn } from './samples.js';
import type { Sandbox } from './sandbox.js';
import { formatMs, type Show } from './show.js';
import { download, type ModelSettings } from './steps/download.js';
import { faces } from './steps/faces.js';
import { serve } from './steps/serve.js';
import { speech } from './steps/speech.js';

const MODELS: ModelSettings = {
  ASR_MODEL: 'onnx-community/whisper-base_timestamped',
  VISION_MODEL_NAME: 'heimdex/siglip-pocket',
  LOAD_BGE_M3: 'true',
  TEXT_MODEL_NAME: 'Xenova/all-MiniLM-L6-v2',
  FEATURE_FACE: 'true',
  FACE_MODEL_NAME: 'opencv/face_detection_yunet',
};

/** Reference transcripts; the last is from LibriVox, Sense and Sensibility, chapter 1. */
const TRANSCRIPTS: Readonly<Record<string, string>> = {
  'jfk.wav':
    'And so, my fellow Americans, ask not what your country can do for you, ask what you can do for your country.',
  'sense_and_sensibility_01_austen_64kb-0870.wav':
    'And Mr. John Dashwood had then leisure to consider how much there might be prudently in his power to do for them.',
};

/** Number of faces found by the reference implementation. */
const FACES: Readonly<Record<string, number>> = {
  'astronaut.png': 1,
  'camera.png': 1,
  'chelsea.png': 0,
  'coffee.png': 0,
};

const SENTENCES = [
  'How do I get my money back?',
  'You can return an item for a full refund within thirty days.',
  'Our shop opens at nine in the morning.',
  'The cat slept on the warm roof all afternoon.',
];

/** Repeats the demo with real models: Whisper base, MiniLM, YuNet. Returns whether all results were as expected. */
export async function realModels(
  dir: string,
  out: string,
  show: Show,
  sandbox: Sandbox,
  signal: AbortSignal,
): Promise<boolean> {
  show.title('Again with real models', dir);
  const hub = await startHub({ dirs: [dir] });
  try {
    await download(show, sandbox, hub, MODELS, signal);
  } finally {
    await hub.close();
  }
  const samples = join(dirname(dir), 'samples');
  const { client, address, stop } = await serve(show, sandbox, MODELS, signal);
  try {
    const rankedCorrectly = await sentences(show, client, signal);
    if (!existsSync(samples)) {
      await stop();
      show.line(`   ${show.bad(`no samples: ${samples} does not exist`)}`);
      return rankedCorrectly;
    }
    show.step('Speech to text, Whisper base');
    const audioFiles = (await samplesIn(join(samples, 'speech'), '.wav')).filter(({ name }) => name in TRANSCRIPTS);
    const wrongWords = await speech(show, client, audioFiles, TRANSCRIPTS, { signal, timestamps: 'word' });

    show.step('Face detection in photos, YuNet');
    const photos = (await samplesIn(join(samples, 'photos'), '.png', '.jpg')).filter(({ name }) => name in FACES);
    const shown = { images: photos, expected: FACES, out: join(out, 'people') };
    const wrongFaces = await faces(show, sandbox, address, shown, signal);
    await stop();
    return rankedCorrectly && wrongWords === 0 && wrongFaces === 0;
  } finally {
    client.close();
  }
}

async function sentences(show: Show, client: InferenceClient, signal: AbortSignal): Promise<boolean> {
  show.step('Semantic text search, MiniLM');
  const startMs = performance.now();
  const answer = await client.embedText(SENTENCES, { model: 'text', signal });
  const tookMs = performance.now() - startMs;
  const [query, ...others] = valuesOf(answer.results).map(({ vector }) => vector);
  const scores = others.map((vector) => vector.reduce((sum, number, at) => sum + number * (query?.[at] ?? 0), 0));
  show.item('question', SENTENCES[0] ?? '');
  for (const [index, score] of scores.entries()) {
    show.item(
      index === 0 ? 'answers' : '',
      `${show.bar(score)} ${score.toFixed(3).padStart(6)}  ${SENTENCES[index + 1] ?? ''}`,
    );
  }
  show.item('took', `${formatMs(tookMs)} for ${SENTENCES.length} texts, ${answer.dimensions} dimensions`);
  return Math.max(...scores) === scores[0];
}
