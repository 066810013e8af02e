import { join, relative } from 'node:path';
import type { Hub } from '@heimdex/hub';
import { embeddedRepositories, startHub } from '@heimdex/hub';
import { download, type ModelSettings } from './acts/download.js';
import { faces } from './acts/faces.js';
import { health } from './acts/health.js';
import { type ImageFacts, search } from './acts/search.js';
import { serve } from './acts/serve.js';
import { speech } from './acts/speech.js';
import { DEMO_DIR, type DemoOptions } from './options.js';
import { realModels } from './real-models.js';
import { facts, samplesIn } from './samples.js';
import { counted, megabytes, type Show, time } from './show.js';
import { Workplace } from './workplace.js';

/** What the demo runs in. */
export interface DemoRun {
  readonly show: Show;
  readonly env: NodeJS.ProcessEnv;
  /** Fires on Ctrl-C. */
  readonly signal: AbortSignal;
}

/** The models that come with the project. */
export const EMBEDDED_MODELS: ModelSettings = {
  ASR_MODEL: 'moonshine-tiny',
  VISION_MODEL_NAME: 'heimdex/siglip-pocket',
  FEATURE_FACE: 'true',
  FACE_MODEL_NAME: 'heimdex/face-pocket',
};

const SAMPLES = join(DEMO_DIR, 'samples');

/**
 * Shows the pair from the first download to the last answer. Gives true when everything was as expected. Whatever happens,
 * every program has ended and the volume is gone afterwards.
 */
export async function runDemo(options: DemoOptions, { show, env, signal }: DemoRun): Promise<boolean> {
  const startMs = performance.now();
  const workplace = await Workplace.open(env);
  let good: boolean;
  try {
    show.title(
      'Heimdex: models are downloaded once and served offline',
      'Everything below happens now, on this machine; no other is asked.',
    );
    good = await embedded(options, show, workplace, signal);
    if (options.models !== undefined && !signal.aborted) {
      good = (await realModels(options.models, options.out, show, workplace, signal)) && good;
    }
  } catch (error) {
    if (signal.aborted) throw error;
    const message = error instanceof Error ? error.message : String(error);
    throw new Error([message, workplace.lastWords()].filter((text) => text !== '').join('\n\n'), { cause: error });
  } finally {
    await workplace.close();
  }
  show.line();
  show.item('images drawn', show.color.bold(relative(process.cwd(), options.out) || '.'));
  show.item('all in all', `${time(performance.now() - startMs)}; the volume and every process are gone again`);
  show.line();
  return good;
}

async function embedded(options: DemoOptions, show: Show, workplace: Workplace, signal: AbortSignal): Promise<boolean> {
  const hub = await startHub({ repositories: await embeddedRepositories() });
  try {
    showHub(show, hub);
    await download(show, workplace, hub, EMBEDDED_MODELS, signal);
  } finally {
    await hub.close();
  }
  const { client, address, stop } = await serve(show, workplace, EMBEDDED_MODELS, signal);
  try {
    show.step('Speech to text');
    const audioFiles = await samplesIn(join(SAMPLES, 'speech'), '.flac');
    const said = await facts<string>(join(SAMPLES, 'speech'), 'said.json');
    const wrongWords = await speech(show, client, audioFiles, said, { signal });

    show.step('Images found by words');
    const images = await samplesIn(join(SAMPLES, 'images'), '.png', '.jpg');
    const names = await facts<ImageFacts>(join(SAMPLES, 'images'), 'names.json');
    const { found, reference } = await search(show, client, images, names, signal);

    show.step('Faces, with five landmarks each');
    const scenes = await samplesIn(join(SAMPLES, 'faces'), '.png');
    const known = await facts<{ detected: number }>(join(SAMPLES, 'faces'), 'names.json');
    const expected = Object.fromEntries(Object.entries(known).map(([name, { detected }]) => [name, detected]));
    const paths = scenes.map(({ path }) => path);
    const wrongFaces = await faces(show, workplace, address, paths, expected, options.out, signal);

    await health(show, client, address, signal);
    if (options.stay) await stay(show, address, signal);
    await stop();
    return wrongWords === 0 && found >= reference - 1 && wrongFaces === 0;
  } finally {
    client.close();
  }
}

function showHub(show: Show, hub: Hub): void {
  show.step('A hub on this machine, with the API of the real one');
  show.item('HF_ENDPOINT', hub.url);
  show.rows(
    hub.names().map((name) => {
      const { sha, files } = hub.commit(name);
      const bytes = [...files.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      return ['', name, show.color.dim(sha.slice(0, 7)), counted(files.size, 'file'), megabytes(bytes)];
    }),
  );
}

async function stay(show: Show, address: string, signal: AbortSignal): Promise<void> {
  show.step('Your turn: the server stays until Ctrl-C');
  show.command(`export HEIMDEX_ADDRESS=${address}`);
  show.command('npx heimdex search "a red fruit" demo/samples/images --top 5');
  show.command('npx heimdex transcribe demo/samples/speech/party.flac --format srt');
  show.command('npx heimdex info');
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}
