import { once } from 'node:events';
import http2 from 'node:http2';
import { gzipSync } from 'node:zlib';
import { fromBinary } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { endStreamFromJson, errorFromJsonBytes } from '@connectrpc/connect/protocol-connect';
import { findTrailerError } from '@connectrpc/connect/protocol-grpc';
import { trailerParse } from '@connectrpc/connect/protocol-grpc-web';
import { EmbedTextResponseSchema, ErrorInfoSchema } from '@heimdex/gen';
import { expect } from 'chai';
import { EMBED_IMAGE, EMBED_TEXT, envelope, logged } from '../fixtures/embed-calls.js';
import { rawGrpc } from '../fixtures/raw-grpc.js';
import { useFakeServer } from '../fixtures/use-fake-server.js';

const fake = useFakeServer();

const WATCH = 'grpc.health.v1.Health/Watch';

/** Not a protobuf tag. */
const GARBAGE = Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x13]);
/** A string with invalid UTF-8, and one shorter than its length. */
const NO_TEXT = Buffer.from([0x0a, 2, 0xff, 0xfe]);
const CUT_SHORT = Buffer.from([0x0a, 50, 0x61]);
/** `texts: ["a"], model: TEXT`. */
const GOOD = Buffer.from([0x0a, 1, 0x61, 0x10, 2]);
const COMPRESSED = 1;
const END_OF_STREAM = 0x80;

type Form = 'connect' | 'connect-stream' | 'grpc-web';

/** Decodes the error of a response. */
function errorIn(form: Form, body: Buffer): ConnectError | undefined {
  if (form === 'connect') return errorFromJsonBytes(body, undefined, new ConnectError('no error'));
  const ended = body.subarray(5);
  return form === 'grpc-web' ? findTrailerError(trailerParse(ended)) : endStreamFromJson(ended).error;
}

const CASES: readonly (readonly [
  what: string,
  form: Form,
  path: string,
  headers: Readonly<Record<string, string>>,
  body: string | Buffer,
])[] = [
  ['invalid protobuf', 'connect', EMBED_TEXT, { 'content-type': 'application/proto' }, GARBAGE],
  ['invalid UTF-8', 'connect', EMBED_TEXT, { 'content-type': 'application/proto' }, NO_TEXT],
  ['half a message', 'connect', EMBED_TEXT, { 'content-type': 'application/proto' }, CUT_SHORT],
  ['invalid gzip', 'connect', EMBED_TEXT, { 'content-type': 'application/proto', 'content-encoding': 'gzip' }, GARBAGE],
  [
    'half a gzip stream',
    'connect',
    EMBED_TEXT,
    { 'content-type': 'application/proto', 'content-encoding': 'gzip' },
    gzipSync(GOOD).subarray(0, 12),
  ],
  ['invalid JSON', 'connect', EMBED_TEXT, { 'content-type': 'application/json' }, '{"texts": 7'],
  ['a number for a list', 'connect', EMBED_TEXT, { 'content-type': 'application/json' }, '{"texts": 7}'],
  ['an unknown field', 'connect', EMBED_TEXT, { 'content-type': 'application/json' }, '{"texts":["a"],"text":"b"}'],
  [
    'an unknown enum name',
    'connect',
    EMBED_TEXT,
    { 'content-type': 'application/json' },
    '{"texts":["a"],"model":"X"}',
  ],
  ['invalid base64', 'connect', EMBED_IMAGE, { 'content-type': 'application/json' }, '{"images":[{"content":"@@"}]}'],
  ['endless nesting', 'connect', EMBED_TEXT, { 'content-type': 'application/json' }, '['.repeat(200_000)],
  ['invalid protobuf', 'grpc-web', EMBED_TEXT, { 'content-type': 'application/grpc-web+proto' }, envelope(GARBAGE)],
  ['invalid JSON', 'grpc-web', EMBED_TEXT, { 'content-type': 'application/grpc-web+json' }, envelope(GARBAGE)],
  [
    'half a frame',
    'grpc-web',
    EMBED_TEXT,
    { 'content-type': 'application/grpc-web+proto' },
    envelope(GOOD).subarray(0, 7),
  ],
  ['half a header', 'grpc-web', EMBED_TEXT, { 'content-type': 'application/grpc-web+proto' }, Buffer.alloc(2)],
  [
    'two messages',
    'grpc-web',
    EMBED_TEXT,
    { 'content-type': 'application/grpc-web+proto' },
    Buffer.concat([envelope(GOOD), envelope(GOOD)]),
  ],
  [
    'invalid gzip',
    'grpc-web',
    EMBED_TEXT,
    { 'content-type': 'application/grpc-web+proto', 'grpc-encoding': 'gzip' },
    envelope(GARBAGE, COMPRESSED),
  ],
  [
    'compressed data without an encoding',
    'grpc-web',
    EMBED_TEXT,
    { 'content-type': 'application/grpc-web+proto' },
    envelope(GOOD, COMPRESSED),
  ],
  ['invalid protobuf', 'grpc-web', WATCH, { 'content-type': 'application/grpc-web+proto' }, envelope(GARBAGE)],
  ['invalid protobuf', 'connect-stream', WATCH, { 'content-type': 'application/connect+proto' }, envelope(GARBAGE)],
  ['invalid JSON', 'connect-stream', WATCH, { 'content-type': 'application/connect+json' }, envelope(GARBAGE)],
  ['half a frame', 'connect-stream', WATCH, { 'content-type': 'application/connect+proto' }, Buffer.from([0, 0, 0])],
];

describe('an invalid message over HTTP/1.1', () => {
  for (const [index, [what, form, path, headers, body]] of CASES.entries()) {
    it(`gets INVALID_ARGUMENT: ${what}, ${form}, ${path.split('/')[1]}`, async () => {
      const id = `broken-${index}`;
      const response = await fetch(`${fake.url}/${path}`, {
        method: 'POST',
        headers: { ...headers, 'x-request-id': id },
        body,
      });
      const error = errorIn(form, Buffer.from(await response.arrayBuffer()));
      expect(response.status).to.equal(form === 'connect' ? 400 : 200);
      expect(error?.code).to.equal(Code.InvalidArgument);
      expect(error?.findDetails(ErrorInfoSchema).map(({ reason }) => reason)).to.deep.equal(['INVALID_ARGUMENT']);
      const line = await logged(fake, id);
      expect(line).to.include({ path, code: 'INVALID_ARGUMENT', protocol: form.replace('-stream', '') });
    });
  }

  it('is distinguished from a valid one whose content type is written in upper case', async () => {
    const post = async (type: string, body: string | Buffer) => {
      const response = await fetch(`${fake.url}/${EMBED_TEXT}`, {
        method: 'POST',
        headers: { 'content-type': type },
        body,
      });
      return { status: response.status, body: Buffer.from(await response.arrayBuffer()) };
    };
    const json = await post('Application/JSON; Charset=UTF-8', '{"texts":["a"],"model":"TEXT_MODEL_TEXT"}');
    expect(json.status).to.equal(200);
    expect(json.body.toString()).to.include('"embedding"');
    const web = await post('Application/gRPC-Web+Proto', envelope(GOOD));
    expect([web.status, web.body[0]]).to.deep.equal([200, 0]);
    const webError = await post('Application/gRPC-Web+Proto', envelope(GARBAGE));
    expect(errorIn('grpc-web', webError.body)?.code).to.equal(Code.InvalidArgument);
  });

  it('is distinguished from a valid one of the same kind', async () => {
    const answers = await Promise.all([
      fetch(`${fake.url}/${EMBED_TEXT}`, {
        method: 'POST',
        headers: { 'content-type': 'application/proto', 'content-encoding': 'gzip' },
        body: gzipSync(GOOD),
      }),
      fetch(`${fake.url}/${EMBED_TEXT}`, {
        method: 'POST',
        headers: { 'content-type': 'application/grpc-web+proto' },
        body: envelope(GOOD),
      }),
      fetch(`${fake.url}/${EMBED_TEXT}`, {
        method: 'POST',
        headers: { 'content-type': 'application/grpc-web+proto' },
        body: Buffer.concat([envelope(GOOD), envelope(Buffer.alloc(0), END_OF_STREAM)]),
      }),
    ]);
    expect(answers.map(({ status }) => status)).to.deep.equal([200, 200, 200]);
    const [unary, ...web] = await Promise.all(answers.map(async (answer) => Buffer.from(await answer.arrayBuffer())));
    expect(fromBinary(EmbedTextResponseSchema, unary ?? GARBAGE).results[0]?.result.case).to.equal('embedding');
    for (const answer of web) expect(answer.toString('latin1')).to.include('grpc-status: 0');
  });

  it('causes no error in the log', () => {
    expect(fake.log.filter(({ msg }) => /defect|lost/.test(msg))).to.deep.equal([]);
  });
});

describe('a request over gRPC', () => {
  const answerTo = (path: string, body: Buffer, headers: Readonly<Record<string, string>>) =>
    rawGrpc(fake.url, path, body, headers);

  const CUT: readonly (readonly [string, Buffer])[] = [
    ['half a message', envelope(GOOD).subarray(0, 7)],
    ['half of its prefix', Buffer.alloc(2)],
    ['nothing', Buffer.alloc(0)],
  ];
  for (const [index, [what, body]] of CUT.entries()) {
    it(`that ends after ${what} gets INVALID_ARGUMENT, with details and a log line`, async () => {
      const id = `cut-${index}`;
      const answer = await answerTo(EMBED_TEXT, body, { 'x-request-id': id });
      expect(answer['grpc-status']).to.equal('3');
      expect(decodeURI(String(answer['grpc-message']))).to.include('whole message');
      expect(answer['grpc-status-details-bin']).to.be.a('string');
      const line = await logged(fake, id);
      expect(line).to.include({ path: EMBED_TEXT, code: 'INVALID_ARGUMENT', protocol: 'grpc' });
    });
  }

  for (const path of [EMBED_TEXT, WATCH]) {
    it(`of two messages gets INVALID_ARGUMENT, with a log line, ${path}`, async () => {
      const id = `two-${path.split('/')[1]}`;
      const empty = envelope(Buffer.alloc(0));
      const answer = await answerTo(path, Buffer.concat([empty, empty]), { 'x-request-id': id });
      expect(answer['grpc-status']).to.equal('3');
      expect(decodeURI(String(answer['grpc-message']))).to.include('exactly one message');
      expect(await logged(fake, id)).to.include({ path, code: 'INVALID_ARGUMENT', protocol: 'grpc' });
    });
  }

  it('that is complete but empty is answered', async () => {
    const answer = await answerTo('grpc.health.v1.Health/Check', envelope(Buffer.alloc(0)), {});
    expect(answer['grpc-status']).to.equal('0');
  });

  it('that cannot be decompressed gets INTERNAL, as from every gRPC library', async () => {
    const id = 'garbage';
    const headers = { 'grpc-encoding': 'gzip', 'x-request-id': id };
    const answer = await answerTo(EMBED_TEXT, envelope(GARBAGE, COMPRESSED), headers);
    expect(answer['grpc-status']).to.equal('13');
    expect(await logged(fake, id)).to.include({ code: 'INTERNAL' });
  });

  for (const flags of [COMPRESSED, 2]) {
    it(`that has the flags ${flags} without an encoding gets INTERNAL, as from every gRPC library`, async () => {
      const id = `flags-${flags}`;
      const answer = await answerTo(EMBED_TEXT, envelope(GOOD, flags), { 'x-request-id': id });
      expect(answer['grpc-status']).to.equal('13');
      expect(await logged(fake, id)).to.include({ code: 'INTERNAL', reason: 'INVALID_ARGUMENT' });
    });
  }

  for (const coding of ['br', 'zstd']) {
    it(`that is compressed with ${coding}, which gRPC does not have here, gets UNIMPLEMENTED`, async () => {
      const headers = { 'grpc-encoding': coding, 'x-request-id': coding };
      const answer = await answerTo(EMBED_TEXT, envelope(GARBAGE, COMPRESSED), headers);
      expect(answer['grpc-status']).to.equal('12');
      expect(await logged(fake, coding)).to.include({ code: 'UNIMPLEMENTED' });
    });
  }

  it('that is refused before it is complete is reset, and keeps its status', async () => {
    const session = http2.connect(fake.url);
    try {
      const headers = {
        ':method': 'POST',
        ':path': `/${EMBED_TEXT}`,
        'content-type': 'application/grpc',
        te: 'trailers',
      };
      const stream = session.request(headers);
      let status: unknown;
      stream.on('response', (answer) => {
        status = answer['grpc-status'];
      });
      stream.resume();
      // Longer than any message may be; the rest never comes.
      const head = Buffer.alloc(5);
      head.writeUInt32BE(0xf0000000, 1);
      stream.write(head);
      await once(stream, 'close');
      expect(status).to.equal('8');
      expect(stream.rstCode).to.equal(http2.constants.NGHTTP2_NO_ERROR);
    } finally {
      session.destroy();
    }
  });
});
