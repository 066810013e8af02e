import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import grpc from '@grpc/grpc-js';
import { InferenceService, TextModel } from '@heimdex/gen';
import { expect } from 'chai';
import { readConfig } from '../../src/config/config.js';
import { FatalError } from '../../src/exit-codes.js';
import { type Certificate, hasOpenssl, makeCertificate, makeExpired } from '../fixtures/certificates.js';
import { type FakeServer, startFakeServer } from '../fixtures/fake-server.js';
import { GrpcClient } from '../fixtures/grpc-client.js';
import { rejectionOf } from '../support/rejection.js';

const { embedText } = InferenceService.method;
const REQUEST = { texts: ['a text'], model: TextModel.TEXT };

let dir: string;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'heimdex-tls-'));
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

/** Listens, and returns a function that connects and returns the common name in the server's certificate. */
async function listening(server: tls.Server): Promise<() => Promise<string>> {
  server.on('secureConnection', (socket) => socket.end());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  return () =>
    new Promise((resolve, reject) => {
      const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
        resolve(String(socket.getPeerCertificate().subject.CN));
        socket.destroy();
      });
      socket.on('error', reject);
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
    const answer = await get(url, { ca: server.cert, ALPNProtocols: ['http/1.1'] });
    expect(answer).to.deep.equal({ status: 200, protocol: 'http/1.1' });
    // As connect-go and browsers do.
    const both = http2.connect(url, { ca: server.cert, ALPNProtocols: ['http/1.1', 'h2'] });
    const [headers] = (await once(both.request({ ':path': '/livez' }), 'response')) as [http2.IncomingHttpHeaders];
    expect([headers[':status'], both.alpnProtocol]).to.deep.equal([200, 'h2']);
    both.destroy();
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
    const subject = await listening(rotated.server);
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

  it('is rejected at start with an expired certificate, naming its file', async () => {
    const expired = makeExpired(dir, server);
    const error = await rejectionOf(
      startFakeServer({ TLS_CERT_FILE: expired, TLS_KEY_FILE: server.keyPath }),
      FatalError,
    );
    expect(error).to.include({ reason: 'configuration' });
    expect(String(error)).to.include(`TLS_CERT_FILE ${expired} expired at `);
  });

  it('keeps the old certificate if the new one is not valid today, says so once as when it expires, and takes over one that becomes valid', async () => {
    const [certPath, keyPath] = [join(dir, 'dated.crt'), join(dir, 'dated.key')];
    await copyFile(server.certPath, certPath);
    await copyFile(server.keyPath, keyPath);
    const { createTlsServer } = await import('../../src/transport/auth/tls.js');
    const events: string[] = [];
    const observer = {
      changed: () => void events.push('changed'),
      failed: (error: unknown) => void events.push(String(error)),
      expired: (atMs: number) => void events.push(`expired at ${atMs}`),
    };
    const { validFrom, validTo } = new X509Certificate(server.cert);
    let nowMs = Date.parse(validFrom);
    const dated = await createTlsServer({ certPath, keyPath, clientCaPath: undefined }, observer, () => nowMs);
    const subject = await listening(dated.server);
    try {
      await copyFile(makeExpired(dir, server), certPath);
      await dated.files.check();
      nowMs += 5000;
      await dated.files.check();
      expect(events).to.have.length(1);
      expect(events[0]).to.include(`TLS_CERT_FILE ${certPath} expired at `);
      expect(await subject()).to.equal('server');

      nowMs = Date.parse(validFrom) - 60_000;
      await copyFile(caller.certPath, certPath);
      await copyFile(caller.keyPath, keyPath);
      await dated.files.check();
      expect(events).to.have.length(2);
      expect(events[1]).to.include('is valid only from ');
      expect(await subject()).to.equal('server');
      expect(dated.expiresAtMs()).to.equal(Date.parse(validTo));

      nowMs = Date.parse(new X509Certificate(caller.cert).validFrom);
      await dated.files.check();
      expect(events.slice(2)).to.deep.equal(['changed']);
      expect(await subject()).to.equal('caller');

      const expiresAtMs = dated.expiresAtMs();
      nowMs = expiresAtMs + 1000;
      await dated.files.check();
      await dated.files.check();
      expect(events.slice(3)).to.deep.equal([`expired at ${expiresAtMs}`]);
    } finally {
      dated.files.close();
      dated.server.close();
    }
  });

  it('tells Prometheus when the certificate expires', async () => {
    fake = await startFakeServer({ TLS_CERT_FILE: server.certPath, TLS_KEY_FILE: server.keyPath });
    const { port } = fake.server.address;
    const text = await new Promise<string>((resolve, reject) => {
      https
        .get(`https://localhost:${port}/metrics`, { agent: false, ca: server.cert }, (response) => {
          let all = '';
          response.on('data', (part) => {
            all += part;
          });
          response.on('end', () => resolve(all));
        })
        .on('error', reject);
    });
    const expires = /^heimdex_certificate_expires_timestamp_seconds (.+)$/m.exec(text)?.[1];
    expect(Number(expires) * 1000).to.equal(Date.parse(new X509Certificate(server.cert).validTo));
  });

  it('is rejected at start with invalid files, naming the variables', async () => {
    const error = await rejectionOf(
      startFakeServer({ TLS_CERT_FILE: server.keyPath, TLS_KEY_FILE: server.keyPath }),
      FatalError,
    );
    expect(error).to.include({ reason: 'configuration' });
    expect(String(error)).to.include('TLS_CERT_FILE');
  });

  it('is rejected with the key of another certificate, even of another kind', async () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    const keyPath = join(dir, 'ed25519.key');
    await writeFile(keyPath, privateKey.export({ type: 'pkcs8', format: 'pem' }));
    for (const wrong of [keyPath, caller.keyPath]) {
      const error = await rejectionOf(
        startFakeServer({ TLS_CERT_FILE: server.certPath, TLS_KEY_FILE: wrong }),
        FatalError,
      );
      expect(String(error)).to.include(`TLS_KEY_FILE ${wrong} is not the key of the certificate`);
    }
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
        const atStart = await rejectionOf(createTlsServer(paths, observer), FatalError);
        expect(atStart, what).to.include({ reason: 'configuration' });
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
