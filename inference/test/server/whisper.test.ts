/**
 * What only Whisper can: times of words, languages, translations, windows of one file in one run, live speech; over gRPC, by the npm
 * package openai and on the page. One server, which takes 5 s of processor time to start. Skips without its weights.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createInferenceClient } from '@heimdex/client';
import { InferenceService } from '@heimdex/gen';
import { expect } from 'chai';
import OpenAI, { toFile } from 'openai';
import { GrpcClient } from '../fixtures/grpc-client.js';
import { type ServedVolume, serveVolume } from '../fixtures/serve-volume.js';
import { inChunks, streamed, unary } from '../fixtures/streamed-audio.js';
import { makeVolume, ROOT, SHARED_MODELS } from '../fixtures/volume.js';
import { testWordsPage } from '../playground/words.js';
import { voiceWeights } from '../support/silero.js';
import { plainWords } from '../support/speech.js';
import { PLACES, testLive } from './live.js';

const NAME = 'onnx-community/whisper-base_timestamped';
const DIR = join(SHARED_MODELS, NAME);
const SAMPLES = join(ROOT, '../shared/samples/speech');
const SAID = 'he was not an ill disposed young man';

const { transcribe } = InferenceService.method;

describe('a server of Whisper', () => {
  let served: ServedVolume | undefined;
  let client: GrpcClient;
  let openai: OpenAI;

  before(async function () {
    if (!existsSync(DIR)) {
      console.log(`      skipped: there is no ${DIR}`);
      return this.skip();
    }
    const models = { ASR_MODEL: NAME, VISION_MODEL_NAME: 'none', FEATURE_VAD: 'true', VERIFY_MODELS: 'quick' };
    const volume = await makeVolume({ snapshots: { [NAME]: DIR }, plain: [voiceWeights()] });
    // A busy machine must not cause refusals.
    const env = { PLAYGROUND: 'true', MAX_QUEUE: `${PLACES}`, MAX_QUEUE_SECONDS: '300' };
    served = await serveVolume(volume, { ...models, ...env });
    const { address, url } = served.server;
    client = new GrpcClient(address);
    openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none is needed', maxRetries: 0 });
  });
  after(async () => {
    client?.close();
    await served?.stop();
  });

  const content = () => readFile(join(SAMPLES, 'sense_and_sensibility_01_austen_64kb-0880.wav'));
  const file = async () => toFile(await content(), 'speech.wav');

  it('transcribes an audio file and detects its language', async () => {
    const request = { audio: { content: await content() } };
    const { text, language, languageProbability } = await client.value(transcribe, request);
    expect(plainWords(text)).to.equal(SAID);
    expect(language).to.equal('en');
    expect(languageProbability).to.be.greaterThan(0.5);
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
      prompt: 'A novel of Jane Austen.',
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

  it('has the result of the whole file for one that arrives in chunks', async () => {
    const client = createInferenceClient({ address: served?.server.address ?? '' });
    try {
      const bytes = await content();
      const whole = await unary(client, bytes, {});
      expect(await streamed(client, inChunks(bytes, [1, 40_990, 7, 64 * 1024, 1000]), {})).to.deep.equal(whole);
      expect(plainWords(whole.text)).to.equal(SAID);
      expect(whole.warnings).to.deep.equal([]);
    } finally {
      client.close();
    }
  });

  it('transcribes a short audio file during a run of two windows of a long one, without changing its result', async function () {
    this.timeout(180_000);
    const textOf = async (content: Uint8Array) => {
      // Repeated speech would trigger the temperature fallback.
      const options = { conditionOnPreviousText: false, language: 'en', temperatures: [0] };
      return (await client.value(transcribe, { audio: { content }, options })).text;
    };
    /** Number of items that workers have started. */
    const begun = async () => {
      const metrics = await (await fetch(`${served?.server.url}/metrics`)).text();
      return Number(
        /^heimdex_queue_seconds_count\{model="whisper",priority="interactive"\} (\d+)$/m.exec(metrics)?.[1] ?? 0,
      );
    };
    // Two windows of 25 s, each with 7 s of speech.
    const long = await wavOfMany(join(SAMPLES, 'sense_and_sensibility_01_austen_64kb-0870.wav'), 2, 18);
    const clip = await readFile(join(SAMPLES, 'sense_and_sensibility_01_austen_64kb-0930.wav'));
    const alone = [await textOf(long), await textOf(clip)];
    const before = await begun();
    const order: string[] = [];
    const note = (name: string) => (text: string) => {
      order.push(name);
      return text;
    };
    const transcription = textOf(long).then(note('the long one'));
    while ((await begun()) < before + 2) await delay(10);
    const together = [transcription, textOf(clip).then(note('the clip'))];
    expect(await Promise.all(together)).to.deep.equal(alone);
    expect(order).to.deep.equal(['the clip', 'the long one']);
  });

  describe('with live speech', () => testLive(() => served as ServedVolume));
  describe('with the page to try it', () => testWordsPage(() => served as ServedVolume));
});

/** Repeats the samples of a WAV file, each followed by silence, as a WAV file. */
async function wavOfMany(path: string, times: number, silentSeconds: number): Promise<Buffer> {
  const file = await readFile(path);
  const part = Buffer.concat([file.subarray(44), Buffer.alloc(silentSeconds * 2 * 16_000)]);
  const head = Buffer.from(file.subarray(0, 44));
  head.writeUInt32LE(36 + part.length * times, 4);
  head.writeUInt32LE(part.length * times, 40);
  return Buffer.concat([head, ...Array.from({ length: times }, () => part)]);
}
