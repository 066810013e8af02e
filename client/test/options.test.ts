import { EmbedTextResponseSchema, InferenceService } from '@heimdex/gen';
import { expect } from 'chai';
import { createInferenceClient, type InferenceClientOptions } from '../src/index.js';
import { channelOptions, retryOptions } from '../src/options.js';
import { DEFAULT_RETRY, type RetryOptions } from '../src/retry.js';
import { closedAfterEach } from './support/closed-after-each.js';
import type { Reply } from './support/embed-text-service.js';
import { failureOf } from './support/failure-of.js';
import { answering, type FakeService, startFakeService } from './support/fake-service.js';

/** Timers of Node.js are limited to 2^31 ms. */
const MAX_TIMEOUT_MS = 2_000_000_000;

describe("the client's options", () => {
  const open = closedAfterEach();
  let service: FakeService;
  /** The deadline of each call, as the server read it. */
  const deadlines: number[] = [];

  before(async () => {
    const answer = answering(EmbedTextResponseSchema, { model: { id: 'org/name' } });
    const embedText = (call: { getDeadline(): Date | number }, reply: Reply): void => {
      deadlines.push(Number(call.getDeadline()));
      answer(call, reply);
    };
    service = await startFakeService([[InferenceService, { embedText }]]);
  });
  after(() => service.close());
  afterEach(() => {
    deadlines.length = 0;
  });

  const connect = (options: InferenceClientOptions = {}) =>
    open(createInferenceClient({ address: service.address, ...options }));

  it('accept any timeout and cap it to what timers hold', async () => {
    for (const timeoutMs of [3e9, 1e12, Number.MAX_VALUE, Number.POSITIVE_INFINITY]) {
      const startMs = Date.now();
      await connect({ connectTimeoutMs: Number.POSITIVE_INFINITY }).embedText([], { timeoutMs });
      // gRPC encodes a deadline with at most eight digits, and rounds up.
      expect((deadlines.pop() ?? 0) - startMs).to.be.within(MAX_TIMEOUT_MS - 3_600_000, MAX_TIMEOUT_MS + 3_600_000);
      expect(channelOptions({ keepaliveTimeMs: timeoutMs, keepaliveTimeoutMs: timeoutMs })).to.include({
        'grpc.keepalive_time_ms': MAX_TIMEOUT_MS,
        'grpc.keepalive_timeout_ms': MAX_TIMEOUT_MS,
      });
    }
  });

  it('reject words that they do not have, which would silently mean a default', async () => {
    const client = connect();
    const sentence = failureOf(client.embedText(['a'], { model: 'sentence' as 'text' }));
    expect(await sentence).to.include({ code: 'INVALID_ARGUMENT', field: 'model' });
    expect((await sentence).message)
      .to.include('vision or text')
      .and.include('sentence');
    for (const [field, options] of [
      ['task', { task: 'translates' as 'translate' }],
      ['timestamps', { timestamps: 'words' as 'word' }],
      ['priority', { priority: 'low' as 'bulk' }],
      ['raw.encoding', { raw: { encoding: 'pcm' as 'pcm_s16le', sampleRateHz: 16_000, channelCount: 1 } }],
    ] as const)
      expect(await failureOf(client.transcribe(new Uint8Array(2), options)), field).to.include({ field });
  });

  it('reject numbers that do not fit, by the name of the option, before anything is sent', async () => {
    const client = connect({ address: '127.0.0.1:1' });
    const raw = { encoding: 'pcm_s16le', sampleRateHz: 44_100.5, channelCount: 1 } as const;
    for (const [options, field, message] of [
      [{ beamSize: 1.5 }, 'beamSize', 'beamSize must be an integer of 0 or more, got 1.5'],
      [{ audioTrack: -1 }, 'audioTrack', 'audioTrack must be an integer of 0 or more, got -1'],
      [{ raw }, 'raw.sampleRateHz', 'raw.sampleRateHz must be an integer of 0 or more, got 44100.5'],
      [
        { vadParameters: { speechPadMs: -1 } },
        'vadParameters.speechPadMs',
        'vadParameters.speechPadMs must be an integer of 0 or more, got -1',
      ],
      [{ patience: 'long' as unknown as number }, 'patience', 'patience must be a number, got long'],
    ] as const) {
      const audio = new Uint8Array(2);
      for (const call of [client.transcribe(audio, options), client.transcribeStream([audio], options).next()]) {
        const error = await failureOf(call);
        expect(error).to.include({ code: 'INVALID_ARGUMENT', reason: 'INVALID_ARGUMENT', field });
        expect(error.message).to.equal(message);
      }
    }
    const faces = await failureOf(client.detectFaces([new Uint8Array(2)], { maxFaces: -1 }));
    expect(faces).to.include({ code: 'INVALID_ARGUMENT', field: 'maxFaces' });
  });

  it('reject audio, images and texts of another type, of which nothing or something else would be sent', async () => {
    const client = connect({ address: '127.0.0.1:1' });
    const bytes = new Uint8Array(2);
    const stream = (audio: unknown) => client.transcribeStream(audio as Uint8Array[]).next();
    for (const [call, field, message] of [
      [
        client.transcribe(bytes.buffer as never),
        'audio',
        'audio must be a Uint8Array, such as a Buffer, got ArrayBuffer',
      ],
      [
        client.embedImage(['a.png'] as never),
        'images[0]',
        'images[0] must be a Uint8Array, such as a Buffer, got String',
      ],
      [client.detectFaces(bytes as never), 'images', 'images must be an array, got Uint8Array'],
      [client.embedText('a dog' as never), 'texts', 'texts must be an array, got String'],
      [client.embedText([1] as never), 'texts[0]', 'texts[0] must be a string, got Number'],
      [
        stream(async () => [bytes]),
        'audio',
        'audio must be an iterable of Uint8Arrays, or a function that returns one, got Promise',
      ],
    ] as const) {
      const error = await failureOf(call);
      expect(error.message).to.equal(message);
      expect(error).to.include({ code: 'INVALID_ARGUMENT', reason: 'INVALID_ARGUMENT', field });
    }
  });

  it('reject timeouts that are not numbers, without crashing', async () => {
    const noNumber = '5000' as unknown as number;
    for (const timeoutMs of [Number.NaN, noNumber]) {
      const error = await failureOf(connect().embedText([], { timeoutMs }));
      expect(error).to.include({ code: 'INVALID_ARGUMENT', field: 'timeoutMs' });
      expect(error.message).to.include('milliseconds').and.include(String(timeoutMs));
      expect(() => createInferenceClient({ timeoutsMs: { Health: timeoutMs } })).to.throw(
        TypeError,
        'timeoutsMs.Health',
      );
      for (const name of ['connectTimeoutMs', 'keepaliveTimeMs', 'keepaliveTimeoutMs']) {
        expect(() => createInferenceClient({ [name]: timeoutMs })).to.throw(TypeError, name);
      }
      expect(() => createInferenceClient({ retry: { maxAttempts: timeoutMs } })).to.throw(
        TypeError,
        'retry.maxAttempts',
      );
    }
  });

  it('reject a timeout of no method, which would silently mean a default', () => {
    const timeoutsMs = { embedText: 1_000 } as object;
    expect(() => createInferenceClient({ timeoutsMs })).to.throw(
      TypeError,
      /^Expected timeoutsMs of Transcribe, .*EmbedText.*, got embedText$/,
    );
  });

  it('that are undefined have their defaults, of retries as well', () => {
    const absent: Partial<RetryOptions> = Object.fromEntries(
      Object.keys(DEFAULT_RETRY).map((name) => [name, undefined]),
    );
    expect(retryOptions(absent)).to.deep.equal(DEFAULT_RETRY);
  });

  it('with an invalid token fail without showing it', async () => {
    const error = await failureOf(connect({ token: 'secret\nx' }).embedText([]));
    expect(error).to.include({ code: 'UNAUTHENTICATED', reason: 'NO_TOKEN' });
    expect(error.message).not.to.include('secret');
  });

  it('with an invalid header fail with its name', async () => {
    for (const [name, value] of [
      ['x-a', 'value-1\nvalue-2'],
      ['x y', 'value-1'],
      ['x-bin', 'value-1'],
    ] as const) {
      const error = await failureOf(connect({ headers: { [name]: value } }).embedText([]));
      expect(error).to.include({ code: 'INVALID_ARGUMENT', field: `headers.${name}` });
      expect(error.message).to.include(name).and.not.include(value);
    }
  });
});
