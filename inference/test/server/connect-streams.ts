/** TranscribeStream over Connect and gRPC-Web, which need HTTP/2 for it, against a server that the suite has started. */
import { once } from 'node:events';
import http2 from 'node:http2';
import { text } from 'node:stream/consumers';
import { toBinary, toJsonString } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import { compressionGzip, createConnectTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import {
  ErrorInfoSchema,
  InferenceService,
  type TranscribeResponse,
  type TranscribeStreamRequest,
  TranscribeStreamRequestSchema,
  type TranscribeStreamResponse,
} from '@heimdex/gen';
import { expect } from 'chai';
import type { ServerProcess } from '../fixtures/server-process.js';
import { audioMessage, START } from '../fixtures/stream-messages.js';
import { inChunks } from '../fixtures/streamed-audio.js';
import { rejectionOf } from '../support/rejection.js';

const { transcribeStream } = InferenceService.method;
const PATH = `/${InferenceService.typeName}/${transcribeStream.name}`;
const BINARY = { useBinaryFormat: true };
const FORMS = [
  ['connect', createConnectTransport, BINARY],
  ['connect in JSON', createConnectTransport, { useBinaryFormat: false }],
  ['connect, compressed', createConnectTransport, { ...BINARY, sendCompression: compressionGzip }],
  ['grpc-web', createGrpcWebTransport, BINARY],
  ['grpc-web, compressed', createGrpcWebTransport, { ...BINARY, sendCompression: compressionGzip }],
] as const;

interface Served {
  readonly server: ServerProcess;
  sample(name: string): Promise<Buffer>;
  /** The answer to search.flac in one call. */
  whole(): Promise<TranscribeResponse>;
}

/** @param served returns the server; called within tests only */
export function itStreamsOverConnect(served: () => Served): void {
  const clientOf = ([, createTransport, options]: (typeof FORMS)[number]) =>
    createClient(InferenceService, createTransport({ baseUrl: served().server.url, httpVersion: '2', ...options }));

  async function* sending(...messages: readonly TranscribeStreamRequest[]) {
    yield* messages;
  }

  /** Never ends. */
  async function* open(...messages: readonly TranscribeStreamRequest[]) {
    yield* messages;
    await new Promise(() => {});
  }

  async function ended(stream: AsyncIterable<unknown>) {
    for await (const _ of stream);
  }

  const reasonOf = (error: ConnectError) => error.findDetails(ErrorInfoSchema)[0]?.reason;

  for (const form of FORMS) {
    it(`transcribes a stream of ${form[0]} like the file`, async () => {
      const content = await served().sample('search.flac');
      const messages = [START, ...Array.from(inChunks(content, [3001, 40_000]), audioMessage)];
      const events: TranscribeStreamResponse['message'][] = [];
      for await (const { message } of clientOf(form).transcribeStream(sending(...messages))) events.push(message);
      const said = events.flatMap((event) => (event.case === 'segment' ? [event.value.text] : [])).join('');
      const whole = await served().whole();
      expect(said.trim()).to.equal(whole.text);
      expect(events.map((event) => event.case)).to.include('progress');
      const last = events.at(-1);
      expect(last?.case === 'summary' && last.value.durationSeconds).to.equal(whole.durationSeconds);
    });
  }

  for (const form of [FORMS[0], FORMS[3]]) {
    it(`answers a stream of ${form[0]} with errors, also before it ends`, async () => {
      const failure = async (stream: AsyncIterable<unknown>) => rejectionOf(ended(stream), ConnectError);
      const client = clientOf(form);
      const second = await failure(client.transcribeStream(open(START, START)));
      expect([second.code, reasonOf(second)]).to.deep.equal([Code.InvalidArgument, 'INVALID_ARGUMENT']);
      const silent = await failure(client.transcribeStream(sending(START)));
      expect(reasonOf(silent)).to.equal('AUDIO_UNREADABLE');
      const idle = await failure(client.transcribeStream(open(START)));
      expect([idle.code, idle.rawMessage]).to.deep.equal([
        Code.DeadlineExceeded,
        'Idle timeout: no message arrived for 1 seconds.',
      ]);
    });
  }

  describe('frame by frame', () => {
    let session: http2.ClientHttp2Session;
    beforeEach(() => {
      session = http2.connect(served().server.url);
    });
    afterEach(() => session.destroy());

    const request = (headers: http2.OutgoingHttpHeaders = {}) =>
      session.request({ ':method': 'POST', ':path': PATH, 'content-type': 'application/connect+proto', ...headers });
    const start = encodeEnvelope(0, toBinary(TranscribeStreamRequestSchema, START));

    /** Expects an answer with these words, after which the caller is told to stop sending. */
    async function expectTold(stream: http2.ClientHttp2Stream, words: string): Promise<void> {
      expect(await text(stream)).to.include(words);
      if (!stream.closed) await once(stream, 'close');
      expect(stream.rstCode, words).to.equal(http2.constants.NGHTTP2_NO_ERROR);
    }

    it('does not treat an interrupted stream as complete, and tells its caller to stop sending', async () => {
      const frame = Buffer.from(
        encodeEnvelope(0, toBinary(TranscribeStreamRequestSchema, audioMessage(Buffer.alloc(99)))),
      );
      const cases = [
        ['the stream ends', frame.subarray(0, 50), 'ended in the middle of a message'],
        ['its prefix ends', frame.subarray(0, 3), 'ended in the middle of a message'],
        ['more than the largest message', Buffer.from([0, 0x7f, 0, 0, 0]), 'the largest this server takes'],
        ['unknown flags', encodeEnvelope(4, new Uint8Array()), 'flags 0, or 1 if compressed, got 4'],
        ['compressed, without a header', encodeEnvelope(1, new Uint8Array(9)), 'no header says how'],
        ['no protobuf', encodeEnvelope(0, new Uint8Array([255, 255])), 'not a valid heimdex'],
      ] as const;
      const told = cases.map(async ([what, sent, expected]) => {
        const stream = request();
        stream.write(start);
        if (what.includes('ends')) stream.end(sent);
        else stream.write(sent);
        await expectTold(stream, expected);
      });
      await Promise.all(told);
    });

    it('refuses unknown compressions and timeouts by name', async () => {
      const unknown = request({ 'connect-content-encoding': 'zstd' });
      unknown.end(start);
      expect(await text(unknown))
        .to.include('unimplemented')
        .and.to.include('zstd');
      const malformed = request({ 'connect-timeout-ms': 'soon', 'x-request-id': 'timeout-soon' });
      malformed.end(start);
      expect(await text(malformed))
        .to.include('invalid_argument')
        .and.to.include('soon');
      const line = await served().server.logged(({ call }) => call === 'timeout-soon');
      expect(line).to.include({ code: 'INVALID_ARGUMENT' });
    });

    it('answers when the deadline passes, and tells its caller to stop sending', async () => {
      const cases = [
        ['application/connect+proto', { 'connect-timeout-ms': '100' }, 'deadline_exceeded'],
        ['application/grpc-web+proto', { 'grpc-timeout': '100m' }, 'grpc-status: 4'],
      ] as const;
      const told = cases.map(async ([type, timeout, expected]) => {
        const late = request({ 'content-type': type, ...timeout });
        late.write(start);
        await expectTold(late, expected);
      });
      await Promise.all(told);
    });

    it('ends the run of a caller that has left', async () => {
      const { server, sample } = served();
      const audio = audioMessage((await sample('search.flac')).subarray(0, 5000));
      const stream = request({ 'x-request-id': 'left-by-connect' });
      stream.write(start);
      stream.write(encodeEnvelope(0, toBinary(TranscribeStreamRequestSchema, audio)));
      const inProgress = async () =>
        /^heimdex_requests_in_progress 1$/m.test(await (await fetch(`${server.url}/metrics`)).text());
      while (!(await inProgress()));
      // Not `stream.close`, which ends the request before it resets it.
      session.destroy();
      const line = await server.logged(({ call }) => call === 'left-by-connect');
      expect(line).to.include({ code: 'CANCELLED', protocol: 'connect' });
    });

    it('reads what still arrives after its answer, so that the connection can end', async () => {
      const noAudio = encodeEnvelope(
        0,
        toBinary(TranscribeStreamRequestSchema, audioMessage(Buffer.alloc(200_000, 'A'))),
      );
      for (let left = 4; left > 0; left -= 1) {
        const stream = request();
        for (const bytes of [start, noAudio, noAudio]) stream.write(bytes);
        stream.end();
        expect(await text(stream)).to.include('AUDIO_UNREADABLE');
      }
      session.close();
      await once(session, 'close');
    });

    it('is refused over HTTP/1.1 by name', async () => {
      const headers = { 'content-type': 'application/connect+json' };
      const body = toJsonString(TranscribeStreamRequestSchema, START);
      const response = await fetch(served().server.url + PATH, { method: 'POST', headers, body });
      expect(response.status).to.equal(505);
      expect(((await response.json()) as { message: string }).message).to.include('needs HTTP/2');
    });
  });
}
