import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { InferenceService, TextModel, type TranscribeStreamResponse } from '@heimdex/gen';
import { type Hub, startHub } from '@heimdex/hub';
import { expect } from 'chai';
import { germanBert, japaneseSiglip, koreanWhisper } from '../fixtures/fine-tunes.js';
import { GrpcClient, gather } from '../fixtures/grpc-client.js';
import { runHere, type ServerProcess, startProgram } from '../fixtures/server-process.js';
import { audioMessage, LIVE } from '../fixtures/stream-messages.js';
import { ROOT } from '../fixtures/volume.js';

const DOWNLOADER = join(ROOT, 'downloader/bin/heimdex-downloader.js');
const { transcribe, transcribeStream, embedImage, embedText } = InferenceService.method;

const MODELS = {
  ASR_MODEL: 'example/whisper-korean',
  VISION_MODEL_NAME: 'example/siglip-japanese',
  LOAD_BGE_M3: 'true',
  TEXT_MODEL_NAME: 'example/german-sentences',
};

describe("people's own fine-tunes, by their names alone", () => {
  let hub: Hub;
  let dir: string;
  let env: Record<string, string>;
  let server: ServerProcess;
  let client: GrpcClient;

  const download = (more: Record<string, string> = {}) =>
    promisify(execFile)(process.execPath, [DOWNLOADER], {
      env: { PATH: process.env.PATH, HF_ENDPOINT: hub.url, ...env, ...more },
    });

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'heimdex-fine-tunes-'));
    hub = await startHub({ repositories: [koreanWhisper(), japaneseSiglip(), germanBert()] });
    env = { HF_HUB_CACHE: join(dir, 'cache'), ...MODELS };
    // A server must not need the sources of the compilation.
    await download({ KEEP_CHECKPOINTS: 'false' });
    server = await startProgram(env);
    client = new GrpcClient(server.address);
  });
  after(async () => {
    client?.close();
    await server?.stop('SIGKILL');
    await hub?.close();
    if (dir !== undefined) await rm(dir, { recursive: true, force: true });
  });

  it('a Korean Whisper with three layers and its own vocabulary transcribes', async () => {
    const content = await readFile(join(ROOT, 'demo/samples/speech/models.flac'));
    const { language, durationSeconds, model } = await client.value(transcribe, {
      audio: { content },
      options: { language: 'ko', temperatures: [0] },
    });
    expect(language).to.equal('ko');
    expect(durationSeconds).to.be.within(3, 10);
    expect(model?.id).to.equal(MODELS.ASR_MODEL);
  });

  it('the Whisper refuses live speech by name without voice activity detection', async () => {
    const call = client.bidi(transcribeStream);
    const received = gather<TranscribeStreamResponse>(call);
    call.write(LIVE);
    call.end(audioMessage(await readFile(join(ROOT, 'demo/samples/speech/models.flac'))));
    const result = await received;
    if (result.ok) throw new Error('Expected an error.');
    expect(result.error).to.deep.include({ reason: 'FEATURE_DISABLED', fields: ['options.live'] });
    expect(result.error.message).to.match(/^options\.live needs voice activity detection.*FEATURE_VAD=true/);
  });

  it('a sharded Japanese SigLIP of another size embeds images and texts', async () => {
    const content = await readFile(join(ROOT, 'demo/samples/images/01-red-heart.png'));
    const images = await client.value(embedImage, { images: [{ content }, { content }] });
    const texts = await client.value(embedText, { texts: ['赤い丸', '青い四角'], model: TextModel.VISION });
    for (const { results, dimensions } of [images, texts]) {
      expect(dimensions).to.equal(80);
      expect(results.map(({ result }) => result.case)).to.deep.equal(['embedding', 'embedding']);
    }
    expect(images.results[0]).to.deep.equal(images.results[1]);
  });

  it('a German BERT with mean pooling embeds sentences', async () => {
    const texts = ['Die Straße ist naß.', 'Der Bär schläft über Nacht!', 'Die Straße ist naß.'];
    const { results, dimensions } = await client.value(embedText, { texts, model: TextModel.TEXT });
    expect(dimensions).to.equal(48);
    const [one, other, same] = results.map(({ result }) =>
      result.case === 'embedding' ? [...result.value.values] : [],
    );
    expect(one).to.have.length(48);
    expect(one).to.deep.equal(same);
    expect(one).not.to.deep.equal(other);
  });

  it('that are not compiled are an error that names the command, and the server compiles none', async () => {
    const other = { HF_HUB_CACHE: join(dir, 'other') };
    await download({ ...other, ASR_MODEL: 'none', VISION_MODEL_NAME: 'none' });
    await rm(join(other.HF_HUB_CACHE, '.compiled'), { recursive: true });
    const { code, stdout, stderr } = await runHere({
      ...env,
      ...other,
      ASR_MODEL: 'none',
      VISION_MODEL_NAME: 'none',
    });
    expect(code).to.equal(3);
    expect(stdout + stderr)
      .to.include('is present but not compiled yet')
      .and.include('heimdex-downloader download');
  });
});
