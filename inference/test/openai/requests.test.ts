/** Requests to the OpenAI API over made-up workers: what is wrong, what is not allowed, what is published. */
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { SERVER_VARIABLES } from '../../src/config/settings.js';
import { startFakeServer } from '../fixtures/fake-server.js';
import { MODEL, ORIGIN, type Reply, Requests, TOKEN } from './requests.js';

const TRANSCRIPTIONS = '/v1/audio/transcriptions';

describe('the OpenAI API', () => {
  let requests: Requests;
  before(async () => {
    requests = await Requests.start();
  });
  after(() => requests?.close());
  afterEach(() => requests.answers());

  describe('a request for embeddings', () => {
    const embed = (body: unknown, headers = {}) =>
      requests.refused('/v1/embeddings', typeof body === 'string' ? body : JSON.stringify(body), headers);

    for (const [what, body, param, says] of [
      ['without input', { model: MODEL }, 'input', /required/],
      ['without a text', { model: MODEL, input: [] }, 'input', /at least one/],
      ['of tokens', { model: MODEL, input: [1, 2, 3] }, 'input[0]', /check_embedding_ctx_length=False/],
      ['of arrays of tokens', { model: MODEL, input: ['a', [1]] }, 'input[1]', /tokens/],
      ['of objects', { model: MODEL, input: [{}] }, 'input[0]', /string/],
      ['of too many texts', { model: MODEL, input: ['1', '2', '3', '4', '5'] }, 'input', /^input must have at most 4/],
      ['of other dimensions', { model: MODEL, input: 'a', dimensions: 3 }, 'dimensions', /have 2/],
      ['in another format', { model: MODEL, input: 'a', encoding_format: 'int8' }, 'encoding_format', /float, base64/],
      ['with an unknown parameter', { model: MODEL, input: 'a', truncate: true }, 'truncate', /unknown/],
      ['with a name of every object', { model: MODEL, input: 'a', constructor: 1 }, 'constructor', /unknown/],
      [
        'of an image, by the text model',
        { model: MODEL, input: 'data:image/png;base64,AAAA' },
        'input[0]',
        /texts only/,
      ],
      [
        'of other data',
        { model: MODEL, input: ['a', 'data:application/pdf;base64,AA'] },
        'input[1]',
        /type application\/pdf/,
      ],
      [
        'of an image that is not in base64',
        { model: MODEL, input: ['a', 'data:image/svg+xml;utf8,<svg/>'] },
        'input[1]',
        /image in base64, got one without ";base64"/,
      ],
      ['with one text too long', { model: MODEL, input: ['a', 'item error'] }, 'input[1]', /too long/],
      ['that is an array', [], null, /JSON object/],
      ['that is no JSON', '{"model":', null, /^The body cannot be read as JSON: (?!cannot)/],
      ['with a name twice', '{"model":"a","model":"b"}', null, /cannot be read as JSON: duplicate object key "model"/],
    ] as const) {
      it(`${what} is refused by name`, async () => {
        const { status, error } = await embed(body);
        expect(error.message).to.match(says);
        expect([status, error.param, error.type]).to.deep.equal([400, param, 'invalid_request_error']);
      });
    }

    for (const header of [
      'data:image/png;charset=utf-8;base64,',
      'data:image/png;name=heart.png;base64,',
      'data:image/png;name="a heart, red.png";base64,',
      'data:application/octet-stream;base64,',
      'data:;base64,',
      ' DATA:image/png; base64,',
    ]) {
      it(`takes ${header} for an image, which the text model does not read`, async () => {
        const { status, error } = await embed({ model: MODEL, input: ['a', `${header}AAAA`] });
        expect([status, error.param]).to.deep.equal([400, 'input[1]']);
        expect(error.message).to.match(/texts only/);
      });
    }

    it('takes a text that begins with data: for a text', async () => {
      const input = [
        'data:,base64',
        'data:text/plain,hello;base64,',
        'data: base64, see below',
        'data:image/png is how it begins, and base64 follows',
      ];
      const response = await requests.send('/v1/embeddings', JSON.stringify({ model: MODEL, input }));
      expect(response.status).to.equal(200);
      await response.text();
    });

    it('with a number beyond the range is refused by name', async () => {
      for (const [body, param] of [
        [`{"model":"${MODEL}","input":"a","dimensions":1e999}`, 'dimensions'],
        [`{"model":"${MODEL}","input":["a",-1e999]}`, 'input[1]'],
        [`{"model":"${MODEL}","input":[{"x":[1e999]}]}`, 'input[0].x[0]'],
        [`{"model":"${MODEL}","input":"${'x'.repeat(70_000)}","user":1e400}`, 'user'],
      ] as const) {
        const { status, error } = await embed(body);
        expect([status, error.param, error.message]).to.deep.equal([
          400,
          param,
          `Invalid '${param}': its number is too large.`,
        ]);
      }
    });

    it('in an unsupported or misspelt encoding is refused by name, in any case of letters', async () => {
      const body = JSON.stringify({ model: MODEL, input: 'abc' });
      for (const [coding, content] of [
        ['deflate', deflateSync(body)],
        ['gzip, gzip', gzipSync(gzipSync(body))],
        ['zstd', body],
      ] as const) {
        const response = await requests.send('/v1/embeddings', content, { 'content-encoding': coding });
        const { error } = (await response.json()) as Reply;
        expect(response.status).to.equal(415);
        expect(error.message).to.equal(
          `Content-Encoding "${coding}" is not supported here, expected gzip, br or none.`,
        );
      }
      for (const [coding, content] of [
        ['GZIP', gzipSync(body)],
        ['Br', brotliCompressSync(body)],
        ['Identity', body],
      ] as const) {
        const response = await requests.send('/v1/embeddings', content, { 'content-encoding': coding });
        expect(response.status, coding).to.equal(200);
        await response.text();
      }
    });

    it('for a model that is not served names those that are', async () => {
      const { status, error } = await embed({ model: 'text-embedding-3-small', input: 'a' });
      expect([status, error.code, error.param]).to.deep.equal([404, 'model_not_found', 'model']);
      expect(error.message).to.include(MODEL);
    });

    it('of another content type is refused, and one in upper case is the same', async () => {
      const body = JSON.stringify({ model: MODEL, input: 'ab' });
      const upper = await requests.send('/v1/embeddings', body, { 'content-type': 'Application/JSON; Charset=UTF-8' });
      expect([upper.status, await upper.text()].join(' ')).to.match(/^200 .*"embedding":\[2,0\]/);
      const { status, error } = await embed('{}', { 'content-type': 'text/plain' });
      expect([status, error.message]).to.deep.equal([400, 'Expected content-type application/json, got "text/plain".']);
    });

    it('may be compressed', async () => {
      const body = gzipSync(JSON.stringify({ model: MODEL, input: ['ab', 'abc'], dimensions: 2 }));
      const response = await requests.send('/v1/embeddings', body, { 'content-encoding': 'gzip' });
      const { data, usage } = (await response.json()) as {
        data: { embedding: number[] }[];
        usage: { prompt_tokens: number };
      };
      expect(data.map(({ embedding }) => embedding)).to.deep.equal([
        [2, 0],
        [3, 1],
      ]);
      expect(usage.prompt_tokens).to.equal(2);
    });

    it('that is large is read on its own thread', async () => {
      const response = await requests.send(
        '/v1/embeddings',
        JSON.stringify({ model: MODEL, input: 'x'.repeat(200_000) }),
      );
      const { data } = (await response.json()) as { data: { embedding: number[] }[] };
      expect(data[0]?.embedding[0]).to.equal(200_000);
    });

    it('that fails in the server is reported without internals', async () => {
      const { status, error } = await embed({ model: MODEL, input: 'defect' });
      expect([status, error.type]).to.deep.equal([500, 'server_error']);
      expect(error.message).to.not.include('secret');
    });
  });

  it('requires a token, before the body arrives', async () => {
    const { status, error } = await requests.refused('/v1/embeddings', '{}', { authorization: 'Bearer wrong' });
    expect([status, error.code]).to.deep.equal([401, 'invalid_api_key']);
    const models = await fetch(`${requests.fake.url}/v1/models`);
    expect(models.status).to.equal(401);
    await models.text();
  });

  it('answers other URLs in its own form, and leaves the rest of the port alone', async () => {
    const chat = await requests.refused('/v1/chat/completions', '{}');
    expect([chat.status, chat.error.code]).to.deep.equal([404, 'unknown_url']);
    const get = await fetch(`${requests.fake.url}/v1/embeddings`);
    expect([get.status, get.headers.get('allow')]).to.deep.equal([405, 'POST']);
    await get.text();
    const posted = await requests.refused('/v1/models', '{}');
    expect([posted.status, posted.error.message]).to.deep.equal([
      405,
      'Unknown request URL: POST /v1/models. /v1/models takes GET, HEAD.',
    ]);
    expect((await fetch(`${requests.fake.url}/livez`)).status).to.equal(200);
  });

  it('logs other URLs and methods, with the id that the answer has', async () => {
    for (const [path, status] of [
      ['/v1/chat/completions', 404],
      ['/v1/models', 405],
    ] as const) {
      const answer = await requests.refused(path, '{}');
      expect(answer.status).to.equal(status);
      const line = await requests.logged(answer.headers.get('x-request-id') ?? '');
      expect(line).to.include({ protocol: 'openai', code: 'INVALID_ARGUMENT', error: answer.error.message });
    }
    expect(await (await fetch(`${requests.fake.url}/metrics`)).text()).to.include('method="UnknownUrl"');
  });

  it('answers HEAD as GET, without the content', async () => {
    for (const [path, status] of [
      ['/v1/models', 200],
      ['/v1/models/no-such', 404],
      ['/v1/embeddings', 405],
      ['/docs', 200],
    ] as const) {
      const headers = { authorization: `Bearer ${TOKEN}` };
      const head = await fetch(`${requests.fake.url}${path}`, { method: 'HEAD', headers });
      const got = await fetch(`${requests.fake.url}${path}`, { headers });
      expect([head.status, await head.text()], path).to.deep.equal([status, '']);
      if (status === 200)
        expect(head.headers.get('content-length')).to.equal(String((await got.arrayBuffer()).byteLength));
      else await got.text();
    }
  });

  it('follows the rules for other origins', async () => {
    const preflight = await fetch(`${requests.fake.url}/v1/embeddings`, {
      method: 'OPTIONS',
      headers: {
        origin: ORIGIN,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,x-stainless-os',
      },
    });
    expect(preflight.status).to.equal(204);
    expect(preflight.headers.get('access-control-allow-origin')).to.equal(ORIGIN);
    expect(preflight.headers.get('access-control-allow-headers')).to.include('x-stainless-os');
    expect(preflight.headers.get('access-control-expose-headers')).to.include('x-should-retry');
  });

  it('is in the access log and the metrics as protocol openai', async () => {
    const response = await requests.send('/v1/embeddings', JSON.stringify({ model: MODEL, input: ['a', 'b'] }), {
      'x-request-id': 'seen',
    });
    expect([response.status, response.headers.get('x-request-id')]).to.deep.equal([200, 'seen']);
    const line = await requests.logged('seen');
    expect(line).to.include({ protocol: 'openai', code: 'OK', items: 2 });
    expect(line.path).to.equal('heimdex.inference.v1.InferenceService/EmbedText');
    const metrics = await (await fetch(`${requests.fake.url}/metrics`)).text();
    expect(metrics).to.match(/heimdex_requests_total\{method="EmbedText",protocol="openai",code="OK"\} \d+/);
  });

  it('publishes its parameters, and a page without scripts', async () => {
    const document = (await (await fetch(`${requests.fake.url}/openapi.json`)).json()) as {
      openapi: string;
      paths: Record<
        string,
        Record<string, { requestBody?: { content: Record<string, { schema: { properties: object } }> } }>
      >;
    };
    expect(document.openapi).to.equal('3.1.0');
    expect(Object.keys(document.paths)).to.include.members([TRANSCRIPTIONS, '/v1/embeddings', '/v1/models/{model}']);
    const { requestBody } = document.paths[TRANSCRIPTIONS]?.post ?? {};
    expect(requestBody?.content['multipart/form-data']?.schema.properties).to.include.keys(
      'file',
      'timestamp_granularities[]',
    );
    const page = await fetch(`${requests.fake.url}/docs`);
    const html = await page.text();
    expect(page.headers.get('content-security-policy')).to.match(/^default-src 'none'; style-src 'sha256-[^']+'/);
    expect(html)
      .to.include('timestamp_granularities')
      // A caller does not know the variables of the server.
      .and.include(`MAX_MESSAGE_MIB of the server (${SERVER_VARIABLES.maxMessageMib.defaultText} by default)`)
      .and.include(`MAX_BATCH_ITEMS of the server (${SERVER_VARIABLES.maxBatchItems.defaultText} by default)`)
      .and.not.match(/<script|https?:\/\//)
      // A proxy may have it below a path.
      .and.not.include('href="/');
  });
});

describe('the OpenAI API, switched off', () => {
  it('is not there', async () => {
    const fake = await startFakeServer({ OPENAI_API: 'false' });
    try {
      for (const path of ['/v1/models', '/docs', '/openapi.json']) {
        expect((await fetch(fake.url + path)).status, path).to.equal(404);
      }
    } finally {
      await fake.close();
    }
  });
});
