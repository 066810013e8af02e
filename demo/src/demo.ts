import { join, relative } from 'node:path';
import { formatCount, messageOf, sumSizes } from '@heimdex/common';
import type { Hub } from '@heimdex/hub';
import { embeddedRepositories, startHub } from '@heimdex/hub';
import { DEMO_DIR, type DemoOptions } from './options.js';
import { realModels } from './real-models.js';
import { metadataOf, samplesIn } from './samples.js';
import { Sandbox } from './sandbox.js';
import { formatMegabytes, formatMs, type Show } from './show.js';
import { download, type ModelSettings } from './steps/download.js';
import { faces } from './steps/faces.js';
import { health } from './steps/health.js';
import { type ImageMetadata, search } from './steps/search.js';
import { serve } from './steps/serve.js';
import { speech } from './steps/speech.js';

/** Output, environment and signal of a run. */
export interface DemoRun {
  readonly show: Show;
  readonly env: NodeJS.ProcessEnv;
  /** Fires on Ctrl-C. */
  readonly signal: AbortSignal;
}

/** The models included in the repository. */
const EMBEDDED_MODELS: ModelSettings = {
  ASR_MODEL: 'moonshine-tiny',
  VISION_MODEL_NAME: 'heimdex/siglip-pocket',
  FEATURE_FACE: 'true',
  FACE_MODEL_NAME: 'heimdex/face-pocket',
};

const SAMPLES = join(DEMO_DIR, 'samples');

/**
 * Runs both programs from the first download to the last response. Returns whether all results were as expected. In every
 * case all programs have ended and the volume is removed afterwards.
 */
export async function runDemo(options: DemoOptions, { show, env, signal }: DemoRun): Promise<boolean> {
  const startMs = performance.now();
  const sandbox = await Sandbox.open(env);
  let passed: boolean;
  try {
    show.title(
      'Heimdex: models are downloaded once and served offline',
      'Everything below runs live on this machine, without a network.',
    );
    passed = await embedded(options, show, sandbox, signal);
    if (options.models !== undefined && !signal.aborted) {
      passed = (await realModels(options.models, options.out, show, sandbox, signal)) && passed;
    }
  } catch (error) {
    if (signal.aborted) throw error;
    const message = messageOf(error);
    throw new Error([message, sandbox.lastOutput()].filter((text) => text !== '').join('\n\n'), { cause: error });
  } finally {
    await sandbox.close();
  }
  show.line();
  show.item('drawings', show.color.bold(relative(process.cwd(), options.out) || '.'));
  show.item('total', `${formatMs(performance.now() - startMs)}; the volume is removed, every process has ended`);
  show.line();
  return passed;
}

async function embedded(options: DemoOptions, show: Show, sandbox: Sandbox, signal: AbortSignal): Promise<boolean> {
  const hub = await startHub({ repositories: await embeddedRepositories() });
  try {
    showHub(show, hub);
    await download(show, sandbox, hub, EMBEDDED_MODELS, signal);
  } finally {
    await hub.close();
  }
  const { client, address, stop } = await serve(show, sandbox, EMBEDDED_MODELS, signal);
  try {
    show.step('Speech to text');
    const audioFiles = await samplesIn(join(SAMPLES, 'speech'), '.flac');
    const references = await metadataOf<string>(join(SAMPLES, 'speech'), 'said.json');
    const wrongWords = await speech(show, client, audioFiles, references, { signal });

    show.step('Text-to-image search');
    const images = await samplesIn(join(SAMPLES, 'images'), '.png', '.jpg');
    const names = await metadataOf<ImageMetadata>(join(SAMPLES, 'images'), 'names.json');
    const { found, reference } = await search(show, client, images, names, signal);

    show.step('Face detection, with five landmarks per face');
    const scenes = await samplesIn(join(SAMPLES, 'faces'), '.png');
    const known = await metadataOf<{ detected: number }>(join(SAMPLES, 'faces'), 'names.json');
    const expected = Object.fromEntries(Object.entries(known).map(([name, { detected }]) => [name, detected]));
    const wrongFaces = await faces(show, sandbox, address, { images: scenes, expected, out: options.out }, signal);

    await health(show, client, address, signal);
    if (options.stay) await stay(show, address, signal);
    await stop();
    return wrongWords === 0 && found >= reference - 1 && wrongFaces === 0;
  } finally {
    client.close();
  }
}

function showHub(show: Show, hub: Hub): void {
  show.step('A local hub with the API of the Hugging Face hub');
  show.item('HF_ENDPOINT', hub.url);
  show.rows(
    hub.names().map((name) => {
      const { sha, files } = hub.commit(name);
      const bytes = sumSizes([...files.values()]);
      return ['', name, show.color.dim(sha.slice(0, 7)), formatCount(files.size, 'file'), formatMegabytes(bytes)];
    }),
  );
}

async function stay(show: Show, address: string, signal: AbortSignal): Promise<void> {
  show.step('Try it: the server runs until Ctrl-C');
  show.item('in a browser', show.color.bold(`http://${address}/`));
  show.command(`export HEIMDEX_ADDRESS=${address}`);
  show.command('npx heimdex search "a red fruit" demo/samples/images --top 5');
  show.command('npx heimdex transcribe demo/samples/speech/party.flac --format srt');
  show.command('npx heimdex info');
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}
