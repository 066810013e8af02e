/** What only Whisper can: times of words, languages, translations; over gRPC and by the npm package openai. Skips without its weights. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InferenceService, type TranscribeStreamResponse } from '@heimdex/gen';
import { expect } from 'chai';
import OpenAI, { toFile } from 'openai';
import { GrpcClient, gather } from '../fixtures/grpc-client.js';
import { type ServerProcess, startProgram } from '../fixtures/server-process.js';
import { audioMessage, LIVE } from '../fixtures/stream-messages.js';
import { makeVolume, ROOT, SHARED_MODELS, type Volume } from '../fixtures/volume.js';
import { plainWords } from '../support/speech.js';

const NAME = 'onnx-community/whisper-base_timestamped';
const DIR = join(SHARED_MODELS, NAME);
const SAID = 'and so my fellow americans ask not what your country can do for you ask what you can do for your country';

const { transcribe, transcribeStream } = InferenceService.method;

describe('a server of Whisper', () => {
  let volume: Volume | undefined;
  let server: ServerProcess | undefined;
  let client: GrpcClient;
  let openai: OpenAI;

  before(async function () {
    if (!existsSync(DIR)) {
      console.log(`      skipped: there is no ${DIR}`);
      return this.skip();
    }
    volume = await makeVolume({ snapshots: { [NAME]: DIR } });
    server = await startProgram({ HF_HUB_CACHE: volume.cacheDir, ASR_MODEL: NAME, VISION_MODEL_NAME: 'none' });
    client = new GrpcClient(server.address);
    openai = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none is needed', maxRetries: 0 });
  });
  after(async () => {
    client?.close();
    await server?.stop('SIGKILL');
    await volume?.remove();
  });

  const content = () => readFile(join(ROOT, '../shared/samples/speech/jfk.wav'));
  const file = async () => toFile(await content(), 'jfk.wav');

  it('transcribes an audio file and detects its language', async () => {
    const request = { audio: { content: await content() } };
    const { text, language, languageProbability } = await client.value(transcribe, request);
    expect(plainWords(text)).to.equal(SAID);
    expect(language).to.equal('en');
    expect(languageProbability).to.be.greaterThan(0.5);
  });

  it('refuses live speech by name without voice activity detection', async () => {
    const call = client.bidi(transcribeStream);
    const received = gather<TranscribeStreamResponse>(call);
    call.write(LIVE);
    call.end(audioMessage(await content()));
    const result = await received;
    if (result.ok) throw new Error('Expected an error.');
    expect(result.error).to.deep.include({ reason: 'FEATURE_DISABLED', fields: ['options.live'] });
    expect(result.error.message).to.match(/^options\.live needs voice activity detection.*FEATURE_VAD=true/);
  });

  it('returns timestamps of words, of segments, or of both to the npm package openai', async () => {
    const both = await openai.audio.transcriptions.create({
      file: await file(),
      model: 'whisper-1',
      response_format: 'verbose_json',
      timestamp_granularities: ['word', 'segment'],
    });
    expect(both.language).to.equal('english');
    expect(both.words?.map(({ word }) => plainWords(word)).join(' ')).to.equal(SAID);
    expect(both.segments).to.not.have.length(0);
    const times = both.words?.flatMap(({ start, end }) => [start, end]) ?? [];
    expect(times).to.deep.equal([...times].sort((one, other) => one - other));
    const alone = await openai.audio.transcriptions.create({
      file: await file(),
      model: 'whisper-1',
      language: 'english',
      prompt: 'A speech of a president.',
      response_format: 'verbose_json',
      timestamp_granularities: ['word'],
    });
    expect(alone.words).to.not.have.length(0);
    expect(alone.segments).to.equal(undefined);
  });

  it('translates for the npm package openai', async () => {
    const verbose = await openai.audio.translations.create({
      file: await file(),
      model: 'whisper-1',
      response_format: 'verbose_json',
    });
    // The package's type of it has the text alone.
    expect(verbose).to.include({ task: 'translate', language: 'english' });
    expect(plainWords(verbose.text)).to.equal(SAID);
  });

  it('refuses the npm package openai a language that it does not know, by name', async () => {
    const error = await openai.audio.transcriptions
      .create({ file: await file(), model: 'whisper-1', language: 'xx' })
      .catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(OpenAI.BadRequestError);
    expect(error).to.include({ code: 'language_unsupported', param: 'language' });
  });
});
