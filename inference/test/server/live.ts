import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import {
  AudioEncoding,
  InferenceService,
  TranscribeStreamRequestSchema,
  type TranscribeStreamResponse,
} from '@heimdex/gen';
import { expect } from 'chai';
import { pcm16 } from '../audio/wav-file.js';
import { GrpcClient, gather } from '../fixtures/grpc-client.js';
import type { ServedVolume } from '../fixtures/serve-volume.js';
import type { ServerProcess } from '../fixtures/server-process.js';
import { ROOT } from '../fixtures/volume.js';
import { inShared } from '../support/paths.js';
import { joined, samplesOf, wordErrors } from '../support/speech.js';

const { transcribe, transcribeStream } = InferenceService.method;
const SAID = 'He was not an ill-disposed young man. He might even have been made amiable himself.';
const RAW = { encoding: AudioEncoding.PCM_S16LE, sampleRateHz: 16_000, channelCount: 1 };
/** 0.1 s of samples, as a microphone gives them. */
const CHUNK_BYTES = 3200;
const BYTES_PER_SECOND = 32_000;
/** The server reads a quarter of a second at a time and ahead of that. No more is sent, so that each pass has the audio it has live. */
const MAX_UNREAD_SECONDS = 0.7;

/** The places of the queue: as many as the other tests of the server need. */
export const PLACES = 4;

/** The tests of live speech with a server of Whisper that has voice activity and a queue of PLACES. */
export function testLive(served: () => ServedVolume): void {
  let server: ServerProcess;
  let client: GrpcClient;
  /** Two sentences with a pause of 1 s, silence before and after them: 9 s. */
  let samples: Float32Array;
  let content: Buffer;

  before(async () => {
    ({ server } = served());
    client = new GrpcClient(server.address);
    const [said, more] = await Promise.all(
      ['0880', '0930'].map((name) =>
        samplesOf(inShared(`samples/speech/sense_and_sensibility_01_austen_64kb-${name}.wav`)),
      ),
    );
    const silence = new Float32Array(16_000);
    samples = joined([silence, said ?? silence, silence, more ?? silence, silence]);
    content = Buffer.from(pcm16(samples));
  });
  after(() => client?.close());

  const live = (options = {}) =>
    create(TranscribeStreamRequestSchema, {
      message: { case: 'start', value: { raw: RAW, options: { live: true, ...options } } },
    });

  async function stream(): Promise<readonly TranscribeStreamResponse[]> {
    const call = client.bidi(transcribeStream);
    const received = gather<TranscribeStreamResponse>(call);
    let processedSeconds = 0;
    let wake = () => {};
    call.on('data', ({ message }: TranscribeStreamResponse) => {
      if (message.case === 'progress') processedSeconds = message.value.processedSeconds;
      wake();
    });
    call.once('error', () => wake());
    call.write(live());
    for (let at = 0; at < content.length; at += CHUNK_BYTES) {
      const value = content.subarray(at, at + CHUNK_BYTES);
      call.write(create(TranscribeStreamRequestSchema, { message: { case: 'audio', value } }));
      const due = (at + value.length) / BYTES_PER_SECOND - MAX_UNREAD_SECONDS;
      while (processedSeconds < due && !call.destroyed) await new Promise<void>((resolve) => (wake = resolve));
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
    expect(wordErrors(text, SAID), text).to.be.at.most(2);

    const cases = messages.map((message) => message.case);
    expect(cases.at(-1)).to.equal('summary');
    expect(cases.indexOf('partial')).to.be.within(0, cases.indexOf('segment'));
    // What is said before the pause is final before anything behind it is shown.
    const shown = messages.flatMap((message) =>
      message.case === 'partial' || message.case === 'segment'
        ? [{ case: message.case, text: message.value.text }]
        : [],
    );
    const behind = shown.findIndex(({ text }) => / might/.test(text));
    const before = shown.slice(0, behind).flatMap((message) => (message.case === 'segment' ? [message.text] : []));
    expect(before.join('')).to.match(/man\.?$/);

    const words = segments.flatMap((segment) => segment.words);
    expect(words.map((word) => word.text).join('')).to.equal(text);
    const times = words.flatMap((word) => [word.startSeconds, word.endSeconds]);
    expect(times).to.deep.equal([...times].sort((one, other) => one - other));
    expect(times[0]).to.be.within(0.8, 2);
    expect(times.at(-1)).to.be.within(7, samples.length / 16_000);
    expect(segments.map(({ id }) => id)).to.deep.equal(segments.map((_, index) => index));
  });

  it('refuses options that cannot be combined with it, and unary calls', async () => {
    const call = client.bidi(transcribeStream);
    const received = gather<TranscribeStreamResponse>(call);
    call.write(live({ vadFilter: true }));
    call.end();
    const result = await received;
    expect(result.ok ? 'no error' : result.error.message).to.contain('options.live cannot be combined with');
    const failure = await client.failure(transcribe, { audio: { content, raw: RAW }, options: { live: true } });
    expect(failure.message).to.contain('TranscribeStream');
  });

  it('releases its place in the queue when its caller cancels it', async () => {
    const open = (id: string) => client.bidi(transcribeStream, { headers: { 'x-request-id': id } });
    const silent = Array.from({ length: PLACES - 1 }, (_, index) => open(`silent-${index}`));
    for (const call of silent) {
      call.on('error', () => {});
      call.write(live());
    }
    const call = open('cancelled');
    const ended = once(call, 'error');
    const spoken = new Promise<void>((resolve) => {
      call.on('data', ({ message }: TranscribeStreamResponse) => {
        if (message.case === 'partial') resolve();
      });
    });
    call.write(live());
    call.write(create(TranscribeStreamRequestSchema, { message: { case: 'audio', value: content } }));
    await spoken;
    const short = { audio: { content: content.subarray(0, 3 * 2 * 16_000), raw: RAW } };
    expect(await client.failure(transcribe, short)).to.include({ reason: 'QUEUE_FULL' });
    call.cancel();
    await ended;
    const line = await server.logged((entry) => entry.call === 'cancelled');
    expect(line).to.include({ msg: 'call', code: 'CANCELLED', protocol: 'grpc' });
    expect(line.path).to.match(/TranscribeStream$/);
    expect((await client.value(transcribe, short)).text).to.match(/he was not/i);
    for (const [index, other] of silent.entries()) {
      other.cancel();
      await server.logged((entry) => entry.call === `silent-${index}`);
    }
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).to.match(/^heimdex_requests_in_progress 0$/m);
    expect(metrics).to.match(/^heimdex_queue_items\{[^}]*\} 0$/m);
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
    // The first sentence with its pause and most of the second one, and the pipe stays open.
    child.stdin.write(content.subarray(0, 8 * 2 * 16_000));
    await shown;
    child.kill('SIGINT');
    expect(await closed).to.deep.equal([130, null]);
    expect(stdout).to.match(/^He was not .*young man.*himself.*\n$/i);
  });
}
