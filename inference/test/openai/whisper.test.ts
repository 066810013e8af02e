/** What only Whisper can: times of words, languages, translations. Skips without its weights. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import OpenAI, { toFile } from 'openai';
import { type ServerProcess, startProgram } from '../fixtures/server-process.js';
import { makeVolume, ROOT, SHARED_MODELS, type Volume } from '../fixtures/volume.js';

const NAME = 'onnx-community/whisper-base_timestamped';
const DIR = join(SHARED_MODELS, NAME);
const SAID = 'and so my fellow americans ask not what your country can do for you ask what you can do for your country';

function words(text: string): string {
  return (text.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? []).join(' ');
}

describe('the npm package openai with Whisper', () => {
  let volume: Volume | undefined;
  let server: ServerProcess | undefined;
  let client: OpenAI;

  before(async function () {
    if (!existsSync(DIR)) {
      console.log(`      skipped: there is no ${DIR}`);
      return this.skip();
    }
    volume = await makeVolume({ snapshots: { [NAME]: DIR } });
    server = await startProgram({ HF_HUB_CACHE: volume.cacheDir, ASR_MODEL: NAME, VISION_MODEL_NAME: 'none' });
    client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none is needed', maxRetries: 0 });
  });
  after(async () => {
    await server?.stop('SIGKILL');
    await volume?.remove();
  });

  const speech = async () => toFile(await readFile(join(ROOT, '../shared/samples/speech/jfk.wav')), 'jfk.wav');

  it('returns timestamps of words, of segments, or of both', async () => {
    const both = await client.audio.transcriptions.create({
      file: await speech(),
      model: 'whisper-1',
      response_format: 'verbose_json',
      timestamp_granularities: ['word', 'segment'],
    });
    expect(both.language).to.equal('english');
    expect(both.words?.map(({ word }) => words(word)).join(' ')).to.equal(SAID);
    expect(both.segments).to.not.have.length(0);
    const times = both.words?.flatMap(({ start, end }) => [start, end]) ?? [];
    expect(times).to.deep.equal([...times].sort((one, other) => one - other));
    const alone = await client.audio.transcriptions.create({
      file: await speech(),
      model: 'whisper-1',
      language: 'english',
      prompt: 'A speech of a president.',
      response_format: 'verbose_json',
      timestamp_granularities: ['word'],
    });
    expect(alone.words).to.not.have.length(0);
    expect(alone.segments).to.equal(undefined);
  });

  it('translates', async () => {
    const verbose = await client.audio.translations.create({
      file: await speech(),
      model: 'whisper-1',
      response_format: 'verbose_json',
    });
    // The package's type of it has the text alone.
    expect(verbose).to.include({ task: 'translate', language: 'english' });
    expect(words(verbose.text)).to.equal(SAID);
  });

  it('refuses a language that it does not know, by name', async () => {
    const error = await client.audio.transcriptions
      .create({ file: await speech(), model: 'whisper-1', language: 'xx' })
      .catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(OpenAI.BadRequestError);
    expect(error).to.include({ code: 'language_unsupported', param: 'language' });
  });
});
