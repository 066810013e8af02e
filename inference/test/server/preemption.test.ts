import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { InferenceService } from '@heimdex/gen';
import { expect } from 'chai';
import { textRequest } from '../fixtures/embed-calls.js';
import { type FakeServer, startFakeServer } from '../fixtures/fake-server.js';
import { GrpcClient } from '../fixtures/grpc-client.js';
import { startProgram } from '../fixtures/server-process.js';
import { makeVolume, ROOT, SHARED_MODELS } from '../fixtures/volume.js';

const { embedText, getServerInfo, transcribe } = InferenceService.method;

describe('a short call', () => {
  let fake: FakeServer;
  beforeEach(async () => {
    fake = await startFakeServer();
    await fake.server.warm;
  });
  afterEach(() => fake.close());

  /** Starts a call that runs until the returned function is called; resolves when the server has admitted it. */
  async function begin(text: string): Promise<() => Promise<void>> {
    let cancel = () => {};
    const ended = fake.client.unary(embedText, textRequest(text), {
      onStart: (stop) => {
        cancel = stop;
      },
    });
    // A second call on the same connection is answered after the first was admitted.
    await fake.client.value(getServerInfo, {});
    return async () => {
      cancel();
      expect((await ended).ok).to.equal(false);
    };
  }

  it('is answered before the others of its run', async () => {
    const endFirst = await begin('until cancelled');
    const short = fake.client.value(embedText, textRequest('quick'.padEnd(15)));
    const endLong = await begin('until cancelled');
    await endFirst();
    const { results, timing } = await short;
    expect(results[0]?.result.case).to.equal('embedding');
    expect(timing?.batchSize).to.equal(2);
    await endLong();
  });

  it('is answered during a long run of another caller', async () => {
    const endLong = await begin('until cancelled'.padEnd(300));
    const { results } = await fake.client.value(embedText, textRequest('quick'));
    expect(results[0]?.result.case).to.equal('embedding');
    await endLong();
    expect((await fake.client.value(embedText, textRequest('next'))).results[0]?.result.case).to.equal('embedding');
    expect(fake.pids()).to.have.length(1);
  });

  it('that kills the worker fails the preempted run at most once', async () => {
    const long = fake.client.value(embedText, textRequest('slow'.padEnd(300)));
    await fake.client.value(getServerInfo, {});
    const error = await fake.client.failure(embedText, textRequest('kill'));
    expect(error).to.include({ code: 'UNAVAILABLE', reason: 'WORKER_LOST_TWICE' });
    expect((await long).results[0]?.result.case).to.equal('embedding');
  });
});

describe('a short audio file', () => {
  const NAME = 'onnx-community/whisper-base_timestamped';
  const dir = join(SHARED_MODELS, NAME);
  const samples = join(ROOT, '../shared/samples/speech');

  it('is transcribed during a run of two windows of a long one, without changing its result', async function () {
    this.timeout(180_000);
    if (!existsSync(dir)) {
      console.log(`      skipped: there is no ${dir}`);
      return this.skip();
    }
    const volume = await makeVolume({ snapshots: { [NAME]: dir } });
    const server = await startProgram({
      HF_HUB_CACHE: volume.cacheDir,
      ASR_MODEL: 'onnx-community/whisper-base_timestamped',
      VISION_MODEL_NAME: 'none',
      WORKERS_SPEECH: '1',
      // A busy machine must not cause refusals.
      MAX_QUEUE_SECONDS: '300',
    });
    const client = new GrpcClient(server.address);
    const textOf = async (content: Uint8Array) => {
      // Repeated speech would trigger the temperature fallback.
      const options = { conditionOnPreviousText: false, language: 'en', temperatures: [0] };
      return (await client.value(transcribe, { audio: { content }, options })).text;
    };
    /** Number of items that workers have started. */
    const begun = async () => {
      const metrics = await (await fetch(`${server.url}/metrics`)).text();
      return Number(/^heimdex_queue_seconds_count\{model="whisper"\} (\d+)$/m.exec(metrics)?.[1] ?? 0);
    };
    try {
      // Two windows of 25 s, each with 7 s of speech.
      const long = await wavOfMany(join(samples, 'sense_and_sensibility_01_austen_64kb-0870.wav'), 2, 18);
      const clip = await readFile(join(samples, 'sense_and_sensibility_01_austen_64kb-0930.wav'));
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
    } finally {
      client.close();
      await server.stop('SIGKILL');
      await volume.remove();
    }
  });
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
