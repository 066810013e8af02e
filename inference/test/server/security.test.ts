import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import grpc from '@grpc/grpc-js';
import { Health, InferenceService, TextModel } from '@heimdex/gen';
import { expect } from 'chai';
import { FatalError } from '../../src/exit-codes.js';
import { Tokens } from '../../src/transport/auth/tokens.js';
import { type WatchedFiles, watchFiles } from '../../src/transport/auth/watched-file.js';
import { EMBED_TEXT } from '../fixtures/embed-calls.js';
import { type FakeServer, startFakeServer } from '../fixtures/fake-server.js';
import { rawGrpc } from '../fixtures/raw-grpc.js';
import { useFakeServer } from '../fixtures/use-fake-server.js';
import { rejectionOf } from '../support/rejection.js';

const { embedText } = InferenceService.method;
const REQUEST = { texts: ['a text'], model: TextModel.TEXT };
const TOKEN = 'a-token-long-enough-to-count';
const SECOND_TOKEN = 'another-token-just-as-long';

let dir: string;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'heimdex-security-'));
});
after(() => rm(dir, { recursive: true }));

describe('bearer tokens', () => {
  let fake: FakeServer;
  before(async () => {
    const path = join(dir, 'tokens');
    await writeFile(path, `# for the tests\n${TOKEN}\n\n${SECOND_TOKEN}\n`);
    fake = await startFakeServer({ AUTH_TOKENS_FILE: path });
    await fake.server.warm;
  });
  after(() => fake.close());

  const post = (headers: Readonly<Record<string, string>>) =>
    fetch(`${fake.url}/heimdex.inference.v1.InferenceService/EmbedText`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ texts: ['a text'], model: 'TEXT_MODEL_TEXT' }),
    });

  it('are required for every call, on every protocol', async () => {
    for (const headers of [{}, { authorization: 'Bearer wrong' }, { authorization: TOKEN }]) {
      const error = await fake.client.failure(embedText, REQUEST, { headers });
      expect(error).to.include({ code: 'UNAUTHENTICATED', reason: 'UNAUTHENTICATED' });
      expect((await post(headers)).status).to.equal(401);
    }
    for (const token of [TOKEN, SECOND_TOKEN]) {
      const headers = { authorization: `Bearer ${token}` };
      expect((await fake.client.value(embedText, REQUEST, { headers })).results).to.have.length(1);
      expect((await post(headers)).status).to.equal(200);
    }
  });

  it('are named as what is missing, in Connect and the OpenAI API', async () => {
    for (const response of [await post({}), await fetch(`${fake.url}/v1/models`)]) {
      expect([response.status, response.headers.get('www-authenticate')]).to.deep.equal([401, 'Bearer']);
      await response.text();
    }
  });

  it('are required for reflection', async () => {
    const method = {
      ...Health.method.watch,
      parent: { typeName: 'grpc.reflection.v1.ServerReflection' },
      name: 'ServerReflectionInfo',
    } as unknown as typeof Health.method.watch;
    const stream = fake.client.serverStream(method, {});
    const [error] = await once(stream, 'error');
    expect(error.code).to.equal(grpc.status.UNAUTHENTICATED);
  });

  it('are not required for health, liveness and metrics', async () => {
    await fake.client.value(Health.method.check, {});
    for (const path of ['health', 'livez', 'readyz', 'metrics']) {
      expect((await fetch(`${fake.url}/${path}`)).status, path).to.equal(200);
    }
  });

  it('are never logged, nor printed by a library, as one behind which a character cannot be sent', async () => {
    const printed: unknown[] = [];
    const { error } = console;
    console.error = (...texts: unknown[]) => void printed.push(...texts);
    try {
      const answer = await rawGrpc(fake.url, EMBED_TEXT, Buffer.alloc(5), { authorization: `Bearer ${TOKEN}\u00ff` });
      expect(answer['grpc-status']).to.equal('16');
    } finally {
      console.error = error;
    }
    expect(JSON.stringify([fake.log, printed])).not.to.include(TOKEN);
  });

  it('must exist and have the minimum length', () => {
    expect(() => new Tokens().replace('# nothing\n\n')).to.throw(/at least one/);
    expect(() => new Tokens().replace('short')).to.throw(/too short/);
  });

  it('must be valid in a header: the old ones are kept if a new file has none', () => {
    const tokens = new Tokens();
    tokens.replace(Buffer.from(`\uFEFF${TOKEN}\r\n# another\r\n${SECOND_TOKEN}\r\n`));
    const secret = 'a-secret-that-is-long-enough';
    const wrong: readonly (readonly [string | Uint8Array, RegExp])[] = [
      ['', /at least one/],
      [' \n\t\n', /at least one/],
      [Buffer.from([0xff, 0xfe, 0x41, 0x00, 0x42, 0x00]), /invalid UTF-8/],
      [Buffer.alloc(64, 0xe4), /invalid UTF-8/],
      [Buffer.alloc(64), /token 1 has a space or a character/],
      [`${secret}\n${secret} # the second`, /token 2 has a space/],
      [`${secret}\r${secret}`, /token 1 has a space/],
      [`${secret}\u00e4`, /token 1 has a space or a character/],
      [`${secret}\u001b[31m`, /token 1 has a space or a character/],
      [`${secret}\nshort`, /token 2 is too short/],
    ];
    for (const [content, message] of wrong) {
      expect(() => tokens.replace(content), String(content))
        .to.throw(message)
        .with.property('message')
        .that.does.not.include(secret);
      expect([TOKEN, SECOND_TOKEN].map((token) => tokens.allow(`Bearer ${token}`))).to.deep.equal([true, true]);
    }
  });

  it('are rejected at start if their file is unreadable, naming the variable', async () => {
    const error = await rejectionOf(startFakeServer({ AUTH_TOKENS_FILE: join(dir, 'nowhere') }), FatalError);
    expect(String(error)).to.include('AUTH_TOKENS_FILE');
  });

  it('are reloaded with their file', async () => {
    const path = join(dir, 'rotated-tokens');
    await writeFile(path, TOKEN);
    const tokens = new Tokens();
    const events: string[] = [];
    const files: WatchedFiles = await watchFiles({
      paths: [path],
      apply: ([content]) => tokens.replace(String(content)),
      changed: () => events.push('changed'),
      failed: () => events.push('failed'),
    });
    try {
      await writeFile(path, SECOND_TOKEN);
      await files.check();
      expect([tokens.allow(`Bearer ${TOKEN}`), tokens.allow(`bearer ${SECOND_TOKEN}`)]).to.deep.equal([false, true]);
      await writeFile(path, '');
      await files.check();
      expect(tokens.allow(`Bearer ${SECOND_TOKEN}`), 'an empty file changes nothing').to.equal(true);
      await writeFile(path, SECOND_TOKEN);
      await files.check();
      await files.check();
      expect(events, 'the file as it was before').to.deep.equal(['changed', 'failed', 'changed']);
    } finally {
      files.close();
    }
  });
});

describe('files that are watched', () => {
  let pipe: number | undefined;
  const closePipe = () => {
    if (pipe !== undefined) closeSync(pipe);
    pipe = undefined;
  };
  // Also if the test hangs: a thread that reads the pipe keeps the program from ending.
  afterEach(closePipe);

  it('stop no other reads while theirs hang', async function () {
    const path = join(dir, 'hanging');
    await writeFile(path, 'old');
    const applied: string[] = [];
    const files = await watchFiles({
      paths: [path],
      apply: ([content]) => void applied.push(String(content)),
      changed: () => {},
      failed: () => {},
    });
    try {
      await rm(path);
      if (spawnSync('mkfifo', [path]).status !== 0) return this.skip();
      pipe = openSync(path, 'r+');
      // More than Node.js has threads for files.
      for (let count = 0; count < 5; count += 1) {
        void files.check();
        await turn();
      }
      await writeFile(`${path}.new`, 'new');
      await rename(`${path}.new`, path);
      closePipe();
      await files.check();
      expect(applied.at(-1)).to.equal('new');
    } finally {
      files.close();
    }
  });
});

describe('web pages of other origins', () => {
  const preflight = {
    method: 'OPTIONS',
    headers: { origin: 'https://page.example', 'access-control-request-method': 'POST' },
  };
  const path = 'heimdex.inference.v1.InferenceService/EmbedText';

  it('may not call unless allowed', async () => {
    const fake = await startFakeServer();
    try {
      const response = await fetch(`${fake.url}/${path}`, preflight);
      expect(response.headers.get('access-control-allow-origin')).to.equal(null);
    } finally {
      await fake.close();
    }
  });

  it('may call if allowed', async () => {
    const fake = await startFakeServer({ CORS_ORIGINS: 'https://page.example' });
    try {
      const response = await fetch(`${fake.url}/${path}`, preflight);
      expect(response.status).to.equal(204);
      expect(response.headers.get('access-control-allow-origin')).to.equal('https://page.example');
      expect(response.headers.get('access-control-allow-headers')?.toLowerCase()).to.include('x-grpc-web');
      const other = await fetch(`${fake.url}/${path}`, {
        ...preflight,
        headers: { ...preflight.headers, origin: 'https://other.example' },
      });
      expect(other.headers.get('access-control-allow-origin')).to.equal(null);
    } finally {
      await fake.close();
    }
  });
});

describe('slow and incomplete requests', () => {
  const fake = useFakeServer();

  it('of callers that stop in the middle do not affect others', async () => {
    const { port } = fake.server.address;
    const stalled = Array.from({ length: 50 }, (_, index) => {
      const socket = net.connect(port, '127.0.0.1');
      socket.on('error', () => {});
      const texts = [
        'PRI * HT',
        'GET /hea',
        'POST /heimdex.inference.v1.InferenceService/EmbedText HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{',
      ];
      socket.write(texts[index % texts.length] ?? '');
      return socket;
    });
    await Promise.all(stalled.map((socket) => once(socket, 'connect')));
    expect((await fake.client.value(embedText, REQUEST)).results).to.have.length(1);
    for (const socket of stalled) socket.destroy();
  });

  it('with endless headers are rejected', async () => {
    const { port } = fake.server.address;
    const request = http.get({
      port,
      host: '127.0.0.1',
      path: '/livez',
      headers: { long: 'x'.repeat(100_000) },
      agent: false,
    });
    const status = await new Promise((resolve) => {
      request.on('response', (response) => resolve(response.statusCode));
      request.on('error', () => resolve('closed'));
    });
    expect(status).to.be.oneOf([431, 400, 'closed']);
  });
});
