import { once } from 'node:events';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import grpc from '@grpc/grpc-js';
import { Health, InferenceService, TextModel } from '@heimdex/gen';
import { expect } from 'chai';
import { readConfig } from '../../src/config.js';
import { FatalError } from '../../src/exit-codes.js';
import { Tokens } from '../../src/transport/auth/tokens.js';
import { type WatchedFiles, watchFiles } from '../../src/transport/auth/watched-file.js';
import { type Certificate, hasOpenssl, makeCertificate } from '../fixtures/certificates.js';
import { type FakeServer, startFakeServer } from '../fixtures/fake-server.js';
import { GrpcClient } from '../fixtures/grpc-client.js';

const { embedText } = InferenceService.method;
const REQUEST = { texts: ['a text'], model: TextModel.TEXT };
const TOKEN = 'a-token-long-enough-to-count';
const SECOND_TOKEN = 'another-token-just-as-long';

let dir: string;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'heimdex-security-'));
});
after(() => rm(dir, { recursive: true }));

/** A GET over TLS, with the negotiated protocol. */
function get(
  url: string,
  options: https.RequestOptions & { readonly ALPNProtocols?: string[] },
): Promise<{ status: number | undefined; protocol: string | null }> {
  return new Promise((resolve, reject) => {
    https
      .get(url, { agent: false, ...options }, (response) => {
        const { alpnProtocol } = response.socket as tls.TLSSocket;
        response.resume();
        response.on('end', () => resolve({ status: response.statusCode, protocol: alpnProtocol || null }));
      })
      .on('error', reject);
  });
}

describe('TLS', () => {
  let server: Certificate;
  let caller: Certificate;
  let fake: FakeServer | undefined;
  before(function () {
    if (!hasOpenssl()) {
      console.log('      skipped: openssl is not installed');
      return this.skip();
    }
    server = makeCertificate(dir, 'server');
    caller = makeCertificate(dir, 'caller');
  });
  afterEach(async () => {
    await fake?.close();
    fake = undefined;
  });

  const secure = (port: number, ...credentials: Parameters<typeof grpc.credentials.createSsl>) =>
    new GrpcClient(`localhost:${port}`, grpc.credentials.createSsl(...credentials));

  it('serves gRPC and HTTP on one port, and nothing in plain text', async () => {
    fake = await startFakeServer({ TLS_CERT_FILE: server.certPath, TLS_KEY_FILE: server.keyPath });
    await fake.server.warm;
    const { port } = fake.server.address;
    const client = secure(port, server.cert);
    const { results } = await client.value(embedText, REQUEST);
    client.close();
    expect(results).to.have.length(1);
    const url = `https://localhost:${port}/livez`;
    // A client that offers both protocols, as browsers do, gets the one for gRPC-Web.
    const answer = await get(url, { ca: server.cert, ALPNProtocols: ['h2', 'http/1.1'] });
    expect(answer).to.deep.equal({ status: 200, protocol: 'http/1.1' });
    const plain = net.connect(port, '127.0.0.1', () => plain.write('GET /livez HTTP/1.1\r\nhost: x\r\n\r\n'));
    let text = '';
    plain.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    plain.on('error', () => {});
    await once(plain, 'close');
    expect(text).not.to.include('200');
  });

  it('accepts only callers with a certificate of the configured CA', async () => {
    fake = await startFakeServer({
      TLS_CERT_FILE: server.certPath,
      TLS_KEY_FILE: server.keyPath,
      TLS_CLIENT_CA_FILE: caller.certPath,
    });
    await fake.server.warm;
    const { port } = fake.server.address;
    const known = secure(port, server.cert, caller.key, caller.cert);
    expect((await known.value(embedText, REQUEST)).results).to.have.length(1);
    known.close();
    for (const stranger of [secure(port, server.cert), secure(port, server.cert, server.key, server.cert)]) {
      const error = await stranger.failure(embedText, REQUEST, { timeoutMs: 5000 });
      stranger.close();
      expect(error.code).to.equal('UNAVAILABLE');
    }
  });

  it('reloads a new certificate, and keeps the old one if the new one is invalid', async () => {
    const certPath = join(dir, 'rotated.crt');
    const keyPath = join(dir, 'rotated.key');
    const rotate = async (certificate: Certificate) => {
      await copyFile(certificate.certPath, certPath);
      await copyFile(certificate.keyPath, keyPath);
    };
    await rotate(server);
    const { createTlsServer } = await import('../../src/transport/auth/tls.js');
    const events: string[] = [];
    const observer = { changed: () => void events.push('changed'), failed: () => void events.push('failed') };
    const rotated = await createTlsServer({ certPath, keyPath, clientCaPath: undefined }, observer);
    rotated.server.on('secureConnection', (socket) => socket.end());
    rotated.server.listen(0, '127.0.0.1');
    await once(rotated.server, 'listening');
    const subject = () =>
      new Promise<string>((resolve, reject) => {
        const { port: number } = rotated.server.address() as net.AddressInfo;
        const socket = tls.connect({ port: number, host: '127.0.0.1', rejectUnauthorized: false }, () => {
          resolve(String(socket.getPeerCertificate().subject.CN));
          socket.destroy();
        });
        socket.on('error', reject);
      });
    try {
      expect(await subject()).to.equal('server');
      await rotate(caller);
      await rotated.files.check();
      expect(await subject()).to.equal('caller');
      await writeFile(certPath, 'no certificate');
      await rotated.files.check();
      expect(await subject()).to.equal('caller');
      expect(events).to.deep.equal(['changed', 'failed']);
    } finally {
      rotated.files.close();
      rotated.server.close();
    }
  });

  it('is rejected at start with invalid files, naming the variables', async () => {
    const error = await startFakeServer({ TLS_CERT_FILE: server.keyPath, TLS_KEY_FILE: server.keyPath }).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).to.be.instanceOf(FatalError);
    expect(error).to.include({ reason: 'configuration' });
    expect(String(error)).to.include('TLS_CERT_FILE');
  });

  it('accepts CA files only if each PEM block is a certificate, at start and later', async () => {
    const clientCaPath = join(dir, 'issuers.pem');
    const good = caller.cert.toString();
    const [first = '', ...rest] = good.split('\n');
    const paths = { certPath: server.certPath, keyPath: server.keyPath, clientCaPath };
    const failures: unknown[] = [];
    const changes: unknown[] = [];
    const observer = { changed: () => void changes.push(1), failed: (error: unknown) => void failures.push(error) };
    const { createTlsServer } = await import('../../src/transport/auth/tls.js');
    await writeFile(
      clientCaPath,
      `a note: issuers of ours\r\n${good.replaceAll('\n', '\r\n')}\n# and\n${server.cert}the end`,
    );
    const port = await createTlsServer(paths, observer);
    port.server.on('secureConnection', (socket) => socket.end('let in'));
    port.server.listen(0, '127.0.0.1');
    await once(port.server, 'listening');
    const answer = () =>
      new Promise<string>((resolve) => {
        const { port: number } = port.server.address() as net.AddressInfo;
        const { cert, key } = caller;
        const socket = tls.connect({ port: number, host: '127.0.0.1', rejectUnauthorized: false, cert, key });
        let text = '';
        socket.on('data', (chunk) => {
          text += chunk;
        });
        socket.on('error', () => {});
        socket.on('close', () => resolve(text));
      });
    const broken: Readonly<Record<string, string | Buffer>> = {
      'nothing at all': '',
      garbage: 'garbage',
      bytes: Buffer.from([0, 255, 17, 3, 0x30, 0x82]),
      'UTF-16': Buffer.from(good, 'utf16le'),
      'DER without PEM': Buffer.from(rest.slice(0, -2).join(''), 'base64'),
      'a block that is no certificate': `${first}\nZ2FyYmFnZQ==\n-----END CERTIFICATE-----\n`,
      'a private key': caller.key,
      'a good block and a broken one': `${good}${first}\nZ2FyYmFnZQ==\n-----END CERTIFICATE-----\n`,
      'a broken block and a good one': `${first}\n!!!!\n-----END CERTIFICATE-----\n${good}`,
      'a good block and one that is cut off': good + good.slice(0, good.length / 2),
      'a good block and a private key': `${good}${caller.key}`,
      'a good block and one whose first line is damaged': `${good}${good.replace('-----BEGIN', '----BEGIN')}`,
    };
    try {
      expect(await answer()).to.equal('let in');
      for (const [index, [what, content]] of Object.entries(broken).entries()) {
        await writeFile(clientCaPath, content);
        await port.files.check();
        expect(failures, what).to.have.length(index + 1);
        expect(String(failures.at(-1)), what).to.include(`TLS_CLIENT_CA_FILE ${clientCaPath}`);
        const atStart = await createTlsServer(paths, observer).then(
          () => undefined,
          (error: unknown) => error,
        );
        expect(atStart, what).to.be.instanceOf(FatalError).and.to.include({ reason: 'configuration' });
        expect(String(atStart), what).to.include('TLS_CLIENT_CA_FILE');
      }
      expect(await answer(), 'the old issuers stay').to.equal('let in');
      await writeFile(clientCaPath, good);
      await port.files.check();
      expect([await answer(), changes.length]).to.deep.equal(['let in', 1]);
    } finally {
      port.files.close();
      port.server.close();
    }
  });

  it('needs both of its files', () => {
    expect(() => readConfig({ TLS_CERT_FILE: '/a' })).to.throw(/TLS_KEY_FILE/);
    expect(() => readConfig({ TLS_CLIENT_CA_FILE: '/a' })).to.throw(/TLS_CERT_FILE/);
  });
});

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

  it('are never logged', () => {
    expect(JSON.stringify(fake.log)).not.to.include(TOKEN);
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
      [Buffer.from([0xff, 0xfe, 0x41, 0x00, 0x42, 0x00]), /no UTF-8/],
      [Buffer.alloc(64, 0xe4), /no UTF-8/],
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
    const error = await startFakeServer({ AUTH_TOKENS_FILE: join(dir, 'nowhere') }).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(String(error)).to.include('AUTH_TOKENS_FILE');
  });

  it('are reloaded with their file', async () => {
    const path = join(dir, 'rotated-tokens');
    await writeFile(path, TOKEN);
    const tokens = new Tokens();
    const files: WatchedFiles = await watchFiles({
      paths: [path],
      apply: ([content]) => tokens.replace(String(content)),
      changed: () => {},
      failed: () => {},
    });
    try {
      await writeFile(path, SECOND_TOKEN);
      await files.check();
      expect([tokens.allow(`Bearer ${TOKEN}`), tokens.allow(`bearer ${SECOND_TOKEN}`)]).to.deep.equal([false, true]);
      await writeFile(path, '');
      await files.check();
      expect(tokens.allow(`Bearer ${SECOND_TOKEN}`), 'an empty file changes nothing').to.equal(true);
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
  let fake: FakeServer;
  before(async () => {
    fake = await startFakeServer();
    await fake.server.warm;
  });
  after(() => fake.close());

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
