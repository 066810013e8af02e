import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import http2 from 'node:http2';
import { join } from 'node:path';
import { toBinary } from '@bufbuild/protobuf';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import {
  AudioEncoding,
  InferenceService,
  Timestamps,
  type TranscribeResponse,
  type TranscribeStreamRequest,
  TranscribeStreamRequestSchema,
  type TranscribeStreamResponse,
} from '@heimdex/gen';
import { expect } from 'chai';
import { mp4File } from '../audio/mp4-file.js';
import { transcribe as samplesOf } from '../audio/read-audio.js';
import { failureOf, GrpcClient, gather } from '../fixtures/grpc-client.js';
import { type ServedVolume, speechServer } from '../fixtures/serve-volume.js';
import type { ServerProcess } from '../fixtures/server-process.js';
import { audioMessage, LIVE, START } from '../fixtures/stream-messages.js';
import { MOONSHINE, ROOT } from '../fixtures/volume.js';
import { plainWords } from '../support/speech.js';
import { itStreamsOverConnect } from './connect-streams.js';

const { transcribe, transcribeStream } = InferenceService.method;
const SAMPLES = join(ROOT, 'demo/samples/speech');
/** The headers of a TranscribeStream of native gRPC. */
const NATIVE_STREAM = {
  ':method': 'POST',
  ':path': `/${transcribeStream.parent.typeName}/${transcribeStream.name}`,
  'content-type': 'application/grpc',
  te: 'trailers',
};

type StreamRequest = TranscribeStreamRequest;

describe('speech with Moonshine', () => {
  let server: ServerProcess;
  let stop: ServedVolume['stop'] | undefined;
  let client: GrpcClient;
  let said: Readonly<Record<string, string>>;

  before(async () => {
    const env = {
      MAX_AUDIO_SECONDS: '60',
      MAX_QUEUE_SECONDS: '300',
      STREAM_IDLE_SECONDS: '1',
      MEMORY_LIMIT_GB: '0.32',
    };
    ({ server, stop } = await speechServer(env));
    client = new GrpcClient(server.address);
    said = JSON.parse(await readFile(join(SAMPLES, 'said.json'), 'utf8'));
  });
  after(async () => {
    client?.close();
    await stop?.();
  });

  const sample = (name: string) => readFile(join(SAMPLES, name));
  let searched: Promise<TranscribeResponse> | undefined;
  /** The answer to search.flac in one call, asked for once. */
  const whole = async () => {
    searched ??= client.value(transcribe, { audio: { content: await sample('search.flac') } });
    return searched;
  };

  /** Sends messages, then closes the request stream. */
  async function stream(messages: readonly StreamRequest[]) {
    const call = client.bidi(transcribeStream);
    const received = gather<TranscribeStreamResponse>(call);
    for (const message of messages) call.write(message);
    call.end();
    return received;
  }

  it('transcribes an audio file', async () => {
    const request = { audio: { content: await sample('models.flac') } };
    const { text, language, durationSeconds, segments, model, timing } = await client.value(transcribe, request);
    expect(plainWords(text)).to.equal(plainWords(said['models.flac'] ?? ''));
    expect(language).to.equal('en');
    expect(durationSeconds).to.be.within(3, 10);
    expect(segments.length).to.be.greaterThan(0);
    const joined = segments.map((segment) => segment.text).join('');
    expect(joined.trim()).to.equal(text);
    expect(model?.id).to.equal(MOONSHINE);
    expect(timing?.runMs).to.be.greaterThan(0);
  });

  it('refuses live speech by name', async () => {
    const result = await stream([LIVE, audioMessage(await sample('models.flac'))]);
    if (result.ok) throw new Error('Expected an error.');
    expect(result.error).to.deep.include({ code: 'FAILED_PRECONDITION', fields: ['options.live'] });
    expect(result.error.message).to.match(/^Moonshine does not support live\. Serve Whisper/);
  });

  /** A video of some MiB whose index is at its end, with the speech of a sample. */
  async function indexLastVideo(name: string, mib: number): Promise<StreamRequest[]> {
    const { samples } = await samplesOf(await sample(name));
    const chunks = [Int16Array.from(samples, (value) => Math.round(value * 32_767))];
    return [START, ...[...mp4File({ chunks, betweenBytes: mib * 2 ** 20, indexLast: true })].map(audioMessage)];
  }

  it('holds a video until its index at the end, within its memory for requests, and frees it afterwards', async () => {
    // Requests may hold a quarter of the memory limit, 82 MiB: less than two of these videos.
    for (const again of [1, 2]) {
      const result = await stream(await indexLastVideo('search.flac', 42));
      if (!result.ok) throw new Error(`${again}: ${result.error.message}`);
      const text = result.value.flatMap(({ message }) => (message.case === 'segment' ? [message.value.text] : []));
      expect(plainWords(text.join(''))).to.equal(plainWords((await whole()).text));
    }
    const refused = await stream(await indexLastVideo('search.flac', 84));
    expect(refused.ok ? 'no error' : refused.error.reason).to.equal('MESSAGE_TOO_LARGE');
    expect(refused.ok ? '' : refused.error.message).to.contain('-movflags +faststart');
  });

  it('accepts raw samples', async () => {
    const content = new Uint8Array(16_000 * 2);
    const raw = { encoding: AudioEncoding.PCM_S16LE, sampleRateHz: 16_000, channelCount: 1 };
    const { durationSeconds, text } = await client.value(transcribe, { audio: { content, raw } });
    expect([durationSeconds, text]).to.deep.equal([1, '']);
  });

  it('gives each of several calls at a time its own words', async () => {
    const names = ['search.flac', 'models.flac'];
    const answers = names.map(async (name) => client.value(transcribe, { audio: { content: await sample(name) } }));
    const texts = (await Promise.all(answers)).map(({ text }) => plainWords(text));
    expect(texts).to.deep.equal(names.map((name) => plainWords(said[name] ?? '')));
  });

  it('reports errors of an audio file or its options', async () => {
    const flac = await sample('models.flac');
    const lyingWav = Buffer.from(
      'RIFF\xff\xff\xff\x7fWAVEfmt \x10\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00data\xff\xff\xff\x7f',
      'latin1',
    );
    const cases: [
      string,
      Parameters<typeof client.failure<typeof transcribe.input, typeof transcribe.output>>[1],
      string,
    ][] = [
      ['nothing', {}, 'AUDIO_UNREADABLE'],
      ['empty', { audio: { content: new Uint8Array() } }, 'AUDIO_UNREADABLE'],
      ['a text', { audio: { content: Buffer.from('this is a text, not an audio file') } }, 'AUDIO_UNREADABLE'],
      ['a WAV with a lying header', { audio: { content: lyingWav } }, 'AUDIO_UNREADABLE'],
      ['a FLAC header alone', { audio: { content: flac.subarray(0, 42) } }, 'AUDIO_UNREADABLE'],
      ['raw without an encoding', { audio: { content: flac, raw: {} } }, 'INVALID_ARGUMENT'],
      ['an unknown language', { audio: { content: flac }, options: { language: 'klingon' } }, 'INVALID_ARGUMENT'],
      [
        'a language it does not speak',
        { audio: { content: flac }, options: { language: 'de' } },
        'LANGUAGE_UNSUPPORTED',
      ],
      [
        'a clip that ends before it begins',
        { audio: { content: flac }, options: { clipStartSeconds: 3, clipEndSeconds: 2 } },
        'INVALID_ARGUMENT',
      ],
      ['a beam too wide', { audio: { content: flac }, options: { beamSize: 100 } }, 'INVALID_ARGUMENT'],
      [
        'word times it cannot give',
        { audio: { content: flac }, options: { timestamps: Timestamps.WORD } },
        'TIMESTAMPS_UNSUPPORTED',
      ],
      [
        'voice activity, which is not loaded',
        { audio: { content: flac }, options: { vadFilter: true } },
        'FEATURE_DISABLED',
      ],
      [
        'longer than allowed',
        {
          audio: {
            content: new Uint8Array(61 * 8000 * 2),
            raw: { encoding: AudioEncoding.PCM_S16LE, sampleRateHz: 8000, channelCount: 1 },
          },
        },
        'AUDIO_TOO_LONG',
      ],
    ];
    for (const [name, request, reason] of cases) {
      expect((await client.failure(transcribe, request)).reason, name).to.equal(reason);
    }
  });

  it('reports errors of a stream', async () => {
    const cases: [string, StreamRequest[], string][] = [
      ['nothing at all', [], 'INVALID_ARGUMENT'],
      ['audio first', [audioMessage(new Uint8Array(10))], 'INVALID_ARGUMENT'],
      ['a second start', [START, START], 'INVALID_ARGUMENT'],
      ['no audio', [START], 'AUDIO_UNREADABLE'],
      ['no audio', [START, audioMessage(Buffer.from('this is a text, not an audio file at all'))], 'AUDIO_UNREADABLE'],
    ];
    for (const [name, messages, reason] of cases) {
      const result = await stream(messages);
      expect(result.ok ? 'no error' : result.error.reason, name).to.equal(reason);
    }
  });

  it('does not treat an interrupted stream as complete', async () => {
    const bytes = await sample('search.flac');
    const frames = [START, audioMessage(bytes.subarray(0, 20_000)), audioMessage(bytes.subarray(20_000))].map(
      (message) => Buffer.from(encodeEnvelope(0, toBinary(TranscribeStreamRequestSchema, message))),
    );
    const [first = Buffer.alloc(0), second = Buffer.alloc(0), third = Buffer.alloc(0)] = frames;
    const session = http2.connect(server.url);
    const statusOf = async (sent: Buffer) => {
      const stream = session.request(NATIVE_STREAM);
      stream.end(sent);
      stream.resume();
      return new Promise<unknown>((resolve, reject) => {
        stream.once('error', reject);
        for (const event of ['response', 'trailers']) {
          stream.on(event, (answer) => {
            if (answer['grpc-status'] !== undefined) resolve(answer['grpc-status']);
          });
        }
      });
    };
    try {
      expect(await statusOf(Buffer.concat([first, second, third]))).to.equal('0');
      expect(await statusOf(Buffer.concat([first, second, third.subarray(0, 1000)]))).to.equal('3');
      expect(await statusOf(Buffer.concat([first, second, third.subarray(0, 3)]))).to.equal('3');
    } finally {
      session.destroy();
    }
  });

  it('ends an idle stream', async () => {
    const call = client.bidi(transcribeStream);
    const received = gather<TranscribeStreamResponse>(call);
    call.write(START);
    const result = await received;
    expect(result.ok ? 'no error' : result.error.code).to.equal('DEADLINE_EXCEEDED');
  });

  it('tells the caller to stop sending when the deadline of a stream passes', async () => {
    const session = http2.connect(server.url);
    try {
      const stream = session.request({ ...NATIVE_STREAM, 'grpc-timeout': '100m' });
      let answer: http2.IncomingHttpHeaders = {};
      stream.once('response', (headers) => {
        answer = headers;
      });
      stream.resume();
      await once(stream, 'close');
      expect(answer).to.include({ 'grpc-status': '4' }).and.to.have.property('grpc-status-details-bin');
      expect(stream.rstCode).to.equal(http2.constants.NGHTTP2_NO_ERROR);
    } finally {
      session.destroy();
    }
  });

  it('tells the caller to stop sending after a message that cannot be read', async () => {
    const session = http2.connect(server.url);
    try {
      const stream = session.request(NATIVE_STREAM);
      const unreadable = encodeEnvelope(2, new Uint8Array(3));
      for (const bytes of [encodeEnvelope(0, toBinary(TranscribeStreamRequestSchema, START)), unreadable])
        stream.write(bytes);
      stream.resume();
      const [answer] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
      expect(answer['grpc-status']).to.equal('13');
      if (!stream.closed) await once(stream, 'close');
      expect(stream.rstCode).to.equal(http2.constants.NGHTTP2_NO_ERROR);
    } finally {
      session.destroy();
    }
  });

  it('ends a stream whose caller disconnected', async () => {
    const call = client.bidi(transcribeStream, { headers: { 'x-request-id': 'gone-caller' } });
    const ended = new Promise((resolve) => call.on('error', (error) => resolve(failureOf(error as never).code)));
    call.write(START);
    call.write(audioMessage((await sample('search.flac')).subarray(0, 5000)));
    setImmediate(() => call.cancel());
    expect(await ended).to.equal('CANCELLED');
    const line = await server.logged((entry) => entry.call === 'gone-caller');
    expect(line.code).to.equal('CANCELLED');
  });

  itStreamsOverConnect(() => ({ server, sample, whole }));

  it('still works after all that', async () => {
    expect(server.log.filter(({ msg }) => /lost|defect/.test(msg))).to.deep.equal([]);
    const { text } = await client.value(transcribe, { audio: { content: await sample('models.flac') } });
    expect(plainWords(text)).to.equal(plainWords(said['models.flac'] ?? ''));
  });
});
