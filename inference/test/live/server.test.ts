import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import {
  AudioEncoding,
  InferenceService,
  TranscribeStreamRequestSchema,
  type TranscribeStreamResponse,
} from '@heimdex/gen';
import { expect } from 'chai';
import { pcm16, wavFile } from '../audio/wav-file.js';
import { GrpcClient, gather } from '../fixtures/grpc-client.js';
import { type ServerProcess, startProgram } from '../fixtures/server-process.js';
import { makeVolume, ROOT, SHARED_MODELS, type Volume } from '../fixtures/volume.js';
import { inShared } from '../support/paths.js';
import { voiceWeights } from '../support/silero.js';
import { joined, samplesOf, wordErrors } from '../support/speech.js';

const { transcribe, transcribeStream } = InferenceService.method;
const NAME = 'onnx-community/whisper-base_timestamped';
const RAW = { encoding: AudioEncoding.PCM_S16LE, sampleRateHz: 16_000, channelCount: 1 };
/** 0.1 s of samples, as a microphone gives them. */
const PIECE_BYTES = 3200;

describe('live speech with Whisper', function () {
  this.timeout(120_000);
  let volume: Volume;
  let server: ServerProcess;
  let client: GrpcClient;
  /** Two sentences with a pause of 1.5 s, silence before and after them. */
  let samples: Float32Array;
  let content: Buffer;

  before(async function () {
    const dir = join(SHARED_MODELS, NAME);
    if (!existsSync(dir)) {
      console.log(`      skipped: ${dir} does not exist`);
      return this.skip();
    }
    volume = await makeVolume({ snapshots: { [NAME]: dir }, plain: [voiceWeights()] });
    server = await startProgram({
      HF_HUB_CACHE: volume.cacheDir,
      ASR_MODEL: NAME,
      VISION_MODEL_NAME: 'none',
      FEATURE_VAD: 'true',
    });
    client = new GrpcClient(server.address);
    const said = await samplesOf(inShared('samples/speech/jfk.wav'));
    const more = await samplesOf(join(ROOT, 'demo/samples/speech/models.flac'));
    const silence = (seconds: number) => new Float32Array(seconds * 16_000);
    samples = joined([silence(1), said, silence(1.5), more, silence(1.5)]);
    content = Buffer.from(pcm16(samples));
  });
  after(async () => {
    client?.close();
    await server?.stop('SIGKILL');
    await volume?.remove();
  });

  const live = (options = {}) =>
    create(TranscribeStreamRequestSchema, {
      message: { case: 'start', value: { raw: RAW, options: { live: true, ...options } } },
    });

  async function stream(options = {}): Promise<readonly TranscribeStreamResponse[]> {
    const call = client.bidi(transcribeStream);
    const received = gather<TranscribeStreamResponse>(call);
    call.write(live(options));
    for (let at = 0; at < content.length; at += PIECE_BYTES) {
      const value = content.subarray(at, at + PIECE_BYTES);
      call.write(create(TranscribeStreamRequestSchema, { message: { case: 'audio', value } }));
    }
    call.end();
    const result = await received;
    if (!result.ok) throw new Error(JSON.stringify(result.error));
    return result.value;
  }

  it('sends partial results immediately, finals at pauses, and each word once', async () => {
    const messages = (await stream()).map(({ message }) => message);
    const segments = messages.flatMap((message) => (message.case === 'segment' ? [message.value] : []));
    const text = segments.map((segment) => segment.text).join('');
    const whole = await client.value(transcribe, { audio: { content: Buffer.from(wavFile(pcm16(samples))) } });
    expect(wordErrors(text, whole.text)).to.be.at.most(3);

    const cases = messages.map((message) => message.case);
    expect(cases.at(-1)).to.equal('summary');
    expect(cases.indexOf('partial')).to.be.within(0, cases.indexOf('segment'));
    // What is said before the pause is final before anything behind it is decoded.
    const behind = messages.findIndex(
      (message) => message.case !== 'summary' && message.case !== undefined && startOf(message.value) > 13,
    );
    const before = messages
      .slice(0, behind)
      .flatMap((message) => (message.case === 'segment' ? [message.value.text] : []));
    expect(before.join('')).to.match(/country\.?$/);

    const words = segments.flatMap((segment) => segment.words);
    expect(words.map((word) => word.text).join('')).to.equal(text);
    const times = words.flatMap((word) => [word.startSeconds, word.endSeconds]);
    expect(times).to.deep.equal([...times].sort((one, other) => one - other));
    expect(times[0]).to.be.within(0.8, 2);
    expect(times.at(-1)).to.be.within(16, samples.length / 16_000);
    expect(segments.map(({ id }) => id)).to.deep.equal(segments.map((_, index) => index));
  });

  it('refuses options that cannot be combined with it, and unary calls', async () => {
    for (const options of [{ vadFilter: true }, { clipStartSeconds: 1 }, { timestamps: 1 }, { task: 2 }]) {
      const call = client.bidi(transcribeStream);
      const received = gather<TranscribeStreamResponse>(call);
      call.write(live(options));
      call.end();
      const result = await received;
      expect(result.ok ? 'no error' : result.error.message).to.contain('options.live cannot be combined with');
    }
    const failure = await client.failure(transcribe, { audio: { content, raw: RAW }, options: { live: true } });
    expect(failure.message).to.contain('TranscribeStream');
  });

  it('is ended by Ctrl-C in the command, which prints the final text', async () => {
    const args = ['transcribe', '-', '--raw', 's16le', '--live', '-a', server.address];
    const child = spawn(process.execPath, [join(ROOT, 'client/bin/heimdex.js'), ...args]);
    let stdout = '';
    const closed = once(child, 'close');
    const shown = new Promise<void>((resolve) => {
      child.stdout.on('data', (chunk) => {
        stdout += chunk;
        resolve();
      });
    });
    // The first eight seconds, and the pipe stays open.
    child.stdin.write(content.subarray(0, 8 * 2 * 16_000));
    await shown;
    child.kill('SIGINT');
    expect(await closed).to.deep.equal([130, null]);
    expect(stdout).to.match(/^And so.*fellow Americans.*\n$/i);
  });
});

function startOf(value: object): number {
  return 'startSeconds' in value && typeof value.startSeconds === 'number' ? value.startSeconds : 0;
}
