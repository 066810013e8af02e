import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runPython } from '@heimdex/hub';
import { expect } from 'chai';
import type { Context } from 'mocha';
import OpenAI, { toFile } from 'openai';
import { TRANSCRIPT_ANSWERS } from '../../src/transport/openai/transcript-formats.js';
import { pcm16, wavFile } from '../audio/wav-file.js';
import { SIGLIP } from '../fixtures/pocket.js';
import type { ServedVolume } from '../fixtures/serve-volume.js';
import { MOONSHINE, ROOT } from '../fixtures/volume.js';
import { plainWords, samplesOf } from '../support/speech.js';
import { PACKAGES } from './python-scripts.js';

const SAMPLES = join(ROOT, 'demo/samples');
const PYTHON = process.env.HEIMDEX_TEST_PYTHON ?? 'python3';
const TOKEN = 'a-token-of-enough-characters';

/** What a call throws. */
async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.fail('expected an error'),
    (error: unknown) => error,
  );
}

/**
 * The tests of the official packages of OpenAI for npm and Python with a server of Moonshine and SIGLIP. Skips what Python does not
 * have.
 */
export function testOpenAiPackages(served: () => ServedVolume): void {
  /** What OpenAI's clients call `base_url`. */
  const baseUrl = () => `${served().server.url}/v1`;

  describe('the npm package openai', () => {
    let client: OpenAI;
    let said: string;

    before(async () => {
      client = new OpenAI({ baseURL: baseUrl(), apiKey: TOKEN, maxRetries: 0 });
      said = plainWords(
        (JSON.parse(await readFile(join(SAMPLES, 'speech/said.json'), 'utf8')) as { 'party.flac': string })[
          'party.flac'
        ],
      );
    });

    const party = () => createReadStream(join(SAMPLES, 'speech/party.flac'));

    it('transcribes to json, the default', async () => {
      const { text } = await client.audio.transcriptions.create({ file: party(), model: 'whisper-1' });
      expect(plainWords(text)).to.equal(said);
    });

    it('transcribes by the model’s own id, with every plain option', async () => {
      const { text } = await client.audio.transcriptions.create({
        file: party(),
        model: MOONSHINE,
        language: 'en',
        temperature: 0,
      });
      expect(plainWords(text)).to.equal(said);
    });

    it('transcribes to text', async () => {
      const text = await client.audio.transcriptions.create({
        file: party(),
        model: 'whisper-1',
        response_format: 'text',
      });
      expect(plainWords(text)).to.equal(said);
    });

    it('transcribes to srt and vtt in two lines of 42', async () => {
      const transcribe = (response_format: 'srt' | 'vtt') =>
        client.audio.transcriptions.create({ file: party(), model: 'whisper-1', response_format }).withResponse();
      const { data: srt, response } = await transcribe('srt');
      expect(srt).to.match(/^1\n00:00:00,\d{3} --> 00:00:\d\d,\d{3}\n/);
      const { data: vtt, response: other } = await transcribe('vtt');
      expect(vtt).to.match(/^WEBVTT\n\n00:00:00\.\d{3} --> /);
      // Clients such as openai-php take anything else for JSON.
      for (const { headers } of [response, other])
        expect(headers.get('content-type')).to.equal('text/plain; charset=utf-8');
      for (const cue of srt.trim().split('\n\n')) {
        const lines = cue.split('\n').slice(2);
        expect(lines.length, cue).to.be.within(1, 2);
        for (const line of lines) expect(line.length, line).to.be.at.most(42);
      }
      const spoken = srt.split('\n').filter((line) => !/^\d+$|-->/.test(line));
      expect(plainWords(spoken.join(' '))).to.equal(said);
    });

    it('transcribes to verbose_json', async () => {
      const verbose = await client.audio.transcriptions.create({
        file: party(),
        model: 'whisper-1',
        response_format: 'verbose_json',
      });
      expect(verbose).to.include({ task: 'transcribe', language: 'english' });
      expect(verbose.duration).to.be.greaterThan(1);
      expect(plainWords(verbose.text)).to.equal(said);
      const [segment] = verbose.segments ?? [];
      expect(segment).to.have.all.keys(
        ...['id', 'seek', 'start', 'end', 'text', 'tokens', 'temperature', 'avg_logprob', 'compression_ratio'],
        'no_speech_prob',
      );
      // Clients are generated from what is published.
      const published = ['application/json', 'properties', 'segments', 'items', 'required'].reduce<unknown>(
        (schema, name) => (schema as Readonly<Record<string, unknown>> | undefined)?.[name],
        TRANSCRIPT_ANSWERS,
      );
      expect(published).to.have.members(Object.keys(segment ?? {}));
      expect(segment?.id).to.equal(0);
      expect(segment?.end).to.be.greaterThan(segment?.start ?? Number.POSITIVE_INFINITY);
      expect(segment?.tokens[0]).to.be.a('number');
    });

    it('streams deltas, and the whole text at the end', async () => {
      const stream = await client.audio.transcriptions.create({ file: party(), model: 'whisper-1', stream: true });
      let deltas = '';
      let done: OpenAI.Audio.TranscriptionTextDoneEvent | undefined;
      for await (const event of stream) {
        expect(done).to.equal(undefined);
        if (event.type === 'transcript.text.delta') deltas += event.delta;
        else if (event.type === 'transcript.text.done') done = event;
      }
      expect(plainWords(done?.text ?? '')).to.equal(said);
      expect(deltas.trim()).to.equal(done?.text);
      const { output_tokens: tokens = 0 } = done?.usage ?? {};
      expect(tokens).to.be.greaterThan(5);
      expect(done?.usage).to.deep.equal({
        type: 'tokens',
        input_tokens: 0,
        output_tokens: tokens,
        total_tokens: tokens,
      });
    });

    it('says in every answer in JSON that the audio is cut off', async () => {
      const bytes = await readFile(join(SAMPLES, 'speech/party.flac'));
      const half = () => toFile(bytes.subarray(0, bytes.byteLength / 2), 'half.flac');
      const { transcriptions } = client.audio;
      const model = 'whisper-1';
      const answers: unknown[] = [
        await transcriptions.create({ file: await half(), model }),
        await transcriptions.create({ file: await half(), model, response_format: 'verbose_json' }),
      ];
      const stream = await transcriptions.create({ file: await half(), model, stream: true });
      for await (const event of stream) if (event.type === 'transcript.text.done') answers.push(event);
      expect(answers).to.have.length(3);
      for (const answer of answers) {
        const { warnings } = answer as { readonly warnings: readonly string[] };
        expect(warnings).to.have.length(1);
        expect(warnings[0]).to.match(/missing/);
      }
      expect(await transcriptions.create({ file: party(), model })).to.have.all.keys('text', 'usage');
    });

    it('embeds texts as floats and as base64, and counts tokens', async () => {
      const create = (encoding_format?: 'float' | 'base64') =>
        client.embeddings.create({
          model: SIGLIP,
          input: ['a red heart', 'pizza'],
          ...(encoding_format !== undefined && { encoding_format }),
        });
      const floats = await create('float');
      expect(floats).to.include({ object: 'list', model: SIGLIP });
      expect(floats.data.map(({ index, object }) => [index, object])).to.deep.equal([
        [0, 'embedding'],
        [1, 'embedding'],
      ]);
      expect(floats.data[0]?.embedding).to.have.length(192);
      expect(floats.usage.prompt_tokens).to.be.greaterThan(1);
      expect(floats.usage.total_tokens).to.equal(floats.usage.prompt_tokens);
      // Without a format the package asks for base64, and decodes it.
      const decoded = await create();
      expect(decoded.data.map(({ embedding }) => embedding)).to.deep.equal(
        floats.data.map(({ embedding }) => embedding),
      );
      const base64 = await create('base64');
      expect(base64.data[0]?.embedding).to.be.a('string');
    });

    it('embeds images in data URLs among texts, into the same space', async () => {
      const image = await readFile(join(SAMPLES, 'images/01-red-heart.png'));
      const { data } = await client.embeddings.create({
        model: SIGLIP,
        input: ['a snowman', `data:image/png;base64,${image.toString('base64')}`, 'a red heart'],
        encoding_format: 'float',
      });
      const [other = [], same = [], right = []] = data.map(({ embedding }) => embedding);
      const similarity = (vector: readonly number[]) =>
        vector.reduce((sum, value, at) => sum + value * (same[at] ?? 0), 0);
      expect(similarity(same)).to.be.closeTo(1, 1e-3);
      expect(similarity(right)).to.be.greaterThan(similarity(other));
    });

    it('embeds an image whose data URL has parameters or no type of an image, and refuses what is no image', async () => {
      const image = (await readFile(join(SAMPLES, 'images/01-red-heart.png'))).toString('base64');
      const embed = (...input: string[]) =>
        client.embeddings.create({ model: SIGLIP, input, encoding_format: 'float' }).then(({ data }) => data);
      const [plain, ...others] = await embed(
        ...['image/png', 'image/png;name=heart.png', 'application/octet-stream', ''].map(
          (type) => `data:${type};base64,${image}`,
        ),
      );
      for (const { embedding } of others) expect(embedding).to.deep.equal(plain?.embedding);
      const unreadable = await failure(embed('a snowman', `data:;base64,${Buffer.from('hello').toString('base64')}`));
      expect(unreadable).to.include({ status: 400, code: 'image_unreadable', param: 'input[1]' });
    });

    it('refuses data URLs with anything but base64 by their input', async () => {
      const image = (await readFile(join(SAMPLES, 'images/01-red-heart.png'))).toString('base64');
      for (const content of ['@@@@', `${image.slice(0, 100)}!!!${image.slice(100)}`, `${image.slice(0, 400)}=AAAA`]) {
        const input = ['a', `data:image/png;base64,${content}`];
        const error = await failure(client.embeddings.create({ model: SIGLIP, input }));
        expect(error).to.be.instanceOf(OpenAI.BadRequestError);
        expect(error).to.include({ param: 'input[1]' });
        expect(String(error)).to.include('expected base64 behind the comma');
      }
      const lines = image.replace(/.{76}/g, '$&\r\n').replaceAll('+', '-').replaceAll('/', '_');
      const input = `data:image/png;base64,${lines}`;
      expect((await client.embeddings.create({ model: SIGLIP, input })).data).to.have.length(1);
    });

    it('lists the models and retrieves one, with the slash in its name', async () => {
      const ids: string[] = [];
      for await (const { id } of client.models.list()) ids.push(id);
      expect(ids).to.deep.equal([MOONSHINE, 'whisper-1', SIGLIP]);
      expect(await client.models.retrieve(SIGLIP)).to.include({ id: SIGLIP, object: 'model', owned_by: 'heimdex' });
    });

    it('throws the package’s own errors, with the parameter at fault', async () => {
      const missing = await failure(client.models.retrieve('gpt-4'));
      expect(missing).to.be.instanceOf(OpenAI.NotFoundError);
      expect(missing).to.include({
        status: 404,
        code: 'model_not_found',
        param: 'model',
        type: 'invalid_request_error',
      });
      const unknown = await failure(client.audio.transcriptions.create({ file: party(), model: 'gpt-4o-transcribe' }));
      expect(unknown).to.be.instanceOf(OpenAI.NotFoundError);
      const shorter = await failure(client.embeddings.create({ model: SIGLIP, input: 'one', dimensions: 64 }));
      expect(shorter).to.be.instanceOf(OpenAI.BadRequestError);
      expect(shorter).to.include({ status: 400, param: 'dimensions' });
      const tokens = await failure(client.embeddings.create({ model: SIGLIP, input: [[1, 2]] }));
      expect(tokens).to.include({ status: 400, param: 'input[0]' });
      expect(String(tokens)).to.include('check_embedding_ctx_length=False');
      const noise = await toFile(Buffer.from('this is no audio'), 'noise.mp3');
      const unreadable = await failure(client.audio.transcriptions.create({ file: noise, model: 'whisper-1' }));
      expect(unreadable).to.be.instanceOf(OpenAI.BadRequestError);
      expect(unreadable).to.include({ code: 'audio_unreadable' });
      const translation = await failure(client.audio.translations.create({ file: party(), model: 'whisper-1' }));
      expect(translation).to.include({ status: 400, param: 'model' });
      const early = await failure(
        client.audio.transcriptions.create({ file: noise, model: 'whisper-1', stream: true }),
      );
      expect(early).to.include({ status: 400, code: 'audio_unreadable' });
    });

    it('is accepted with its own dimensions', async () => {
      const { data } = await client.embeddings.create({ model: SIGLIP, input: 'one', dimensions: 192 });
      expect(data).to.have.length(1);
    });

    it('ends the call when the caller leaves its stream', async () => {
      const samples = await samplesOf(join(SAMPLES, 'speech/party.flac'));
      // Minutes of speech, so that it is still worked on when the first words come.
      const long = wavFile(Buffer.concat(Array.from({ length: 60 }, () => pcm16(samples))));
      const stream = await client.audio.transcriptions.create(
        { file: await toFile(long, 'long.wav'), model: 'whisper-1', stream: true },
        { headers: { 'x-request-id': 'left' } },
      );
      for await (const { type } of stream) {
        expect(type).to.equal('transcript.text.delta');
        break;
      }
      const line = await served().server.logged(({ call }) => call === 'left');
      expect(line).to.include({ protocol: 'openai', code: 'CANCELLED' });
    });
  });

  describe('the Python packages', () => {
    type Answers = Readonly<Record<'openai' | 'langchain', Readonly<Record<string, unknown>> | null>>;
    let answers: Answers | undefined;

    before(async () => {
      answers = (await runPython(PYTHON, PACKAGES, {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        OPENAI_BASE_URL: baseUrl(),
        SPEECH: join(ROOT, 'inference/test/audio/cases/video_vp8_opus.webm'),
      }).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      })) as Answers | undefined;
    });

    /** What a package answered; skips the test, with the reason, if Python does not have it. */
    const answerOf = (test: Context, name: keyof Answers) => {
      const answer = answers?.[name];
      if (answer) return answer;
      console.log(`      No Python with ${name}: it is not tested (HEIMDEX_TEST_PYTHON names one).`);
      return test.skip();
    };

    it('openai: every response format, streaming, embeddings, models, errors', function () {
      const answer = answerOf(this, 'openai');
      expect(answer).to.include({ dimensions: 192, same: 0, deltas: answer.done });
      expect(String(answer.text).trim()).to.equal(answer.json);
      expect(answer.done).to.equal(answer.json);
      expect(answer.srt).to.match(/^1\n00:00:0/);
      expect(answer.vtt).to.match(/^WEBVTT\n\n/);
      expect(answer.verbose).to.deep.equal(['english', true, true, 0]);
      expect(answer.models).to.include.members(['whisper-1', SIGLIP]);
      expect(answer.errors).to.deep.equal([
        ['NotFoundError', 404, 'model_not_found', 'model'],
        ['BadRequestError', 400, 'invalid_argument', 'dimensions'],
        ['BadRequestError', 400, 'invalid_argument', 'response_format'],
      ]);
    });

    it('langchain-openai: OpenAIEmbeddings of documents and queries', function () {
      const { lengths, difference } = answerOf(this, 'langchain');
      expect(lengths).to.deep.equal([192, 192]);
      expect(difference).to.be.lessThan(1e-5);
    });
  });
}
