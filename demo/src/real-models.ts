import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type InferenceClient, valuesOf } from '@heimdex/client';
import { startHub } from '@heimdex/hub';
import { download, type ModelSettings } from './acts/download.js';
import { faces } from './acts/faces.js';
import { serve } from './acts/serve.js';
import { speech } from './acts/speech.js';
import { samplesIn } from './samples.js';
import { type Show, time } from './show.js';
import type { Workplace } from './workplace.js';

const MODELS: ModelSettings = {
  ASR_MODEL: 'onnx-community/whisper-base_timestamped',
  VISION_MODEL_NAME: 'heimdex/siglip-pocket',
  LOAD_BGE_M3: 'true',
  TEXT_MODEL_NAME: 'Xenova/all-MiniLM-L6-v2',
  FEATURE_FACE: 'true',
  FACE_MODEL_NAME: 'opencv/face_detection_yunet',
};

/** What the audio files say; the last is from LibriVox, Sense and Sensibility, chapter 1. */
const SAID: Readonly<Record<string, string>> = {
  'jfk.wav':
    'And so, my fellow Americans, ask not what your country can do for you, ask what you can do for your country.',
  'sense_and_sensibility_01_austen_64kb-0870.wav':
    'And Mr. John Dashwood had then leisure to consider how much there might be prudently in his power to do for them.',
};

/** How many faces the reference program finds. */
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

/** The same once more with real models: Whisper base, MiniLM, YuNet. Gives true when everything was as expected. */
export async function realModels(
  dir: string,
  out: string,
  show: Show,
  workplace: Workplace,
  signal: AbortSignal,
): Promise<boolean> {
  show.title('The same with real models', dir);
  const hub = await startHub({ dirs: [dir] });
  try {
    await download(show, workplace, hub, MODELS, signal);
  } finally {
    await hub.close();
  }
  const samples = join(dirname(dir), 'samples');
  const { client, address, stop } = await serve(show, workplace, MODELS, signal);
  try {
    const meaning = await sentences(show, client, signal);
    if (!existsSync(samples)) {
      await stop();
      show.line(`   ${show.bad(`no samples beside the models: ${samples} is not there`)}`);
      return meaning;
    }
    show.step('Speech to text, Whisper base');
    const audioFiles = (await samplesIn(join(samples, 'speech'), '.wav')).filter(({ name }) => name in SAID);
    const wrongWords = await speech(show, client, audioFiles, SAID, { signal, timestamps: 'word' });

    show.step('Faces of people, YuNet');
    const photos = (await samplesIn(join(samples, 'photos'), '.png', '.jpg')).filter(({ name }) => name in FACES);
    const wrongFaces = await faces(
      show,
      workplace,
      address,
      photos.map(({ path }) => path),
      FACES,
      join(out, 'people'),
      signal,
    );
    await stop();
    return meaning && wrongWords === 0 && wrongFaces === 0;
  } finally {
    client.close();
  }
}

async function sentences(show: Show, client: InferenceClient, signal: AbortSignal): Promise<boolean> {
  show.step('Texts found by their meaning, MiniLM');
  const startMs = performance.now();
  const answer = await client.embedText(SENTENCES, { model: 'text', signal });
  const tookMs = performance.now() - startMs;
  const [query, ...others] = valuesOf(answer.results).map(({ vector }) => vector);
  const scores = others.map((vector) => vector.reduce((sum, number, at) => sum + number * (query?.[at] ?? 0), 0));
  show.item('question', SENTENCES[0] ?? '');
  for (const [place, score] of scores.entries()) {
    show.item(
      place === 0 ? 'answers' : '',
      `${show.bar(score)} ${score.toFixed(3).padStart(6)}  ${SENTENCES[place + 1] ?? ''}`,
    );
  }
  show.item('took', `${time(tookMs)} for ${SENTENCES.length} texts, ${answer.dimensions} numbers each`);
  return Math.max(...scores) === scores[0];
}
