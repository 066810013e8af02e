import { once } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, createServer as createSocketServer } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadConfig } from '../src/config.js';
import { type ChildResult, runChild } from './support/child.js';
import { runHere, testEnvironment } from './support/program.js';
import { type ForwardProxy, startProxy } from './support/proxy.js';
import { speechRepository } from './support/repositories.js';
import { startTlsFront, type TlsFront } from './support/tls-front.js';
import { useHub } from './support/use-hub.js';

const TOKEN = 'hf_right';

describe('the way to the hub', () => {
  const { dir, hub, env } = useHub({ token: TOKEN });
  let proxy: ForwardProxy;

  beforeEach(async () => {
    proxy = await startProxy();
  });
  afterEach(() => proxy.close());

  /** Runs in this process, except with NODE_EXTRA_CA_CERTS, which Node.js reads when it starts. */
  async function run(endpoint: string, more: NodeJS.ProcessEnv): Promise<ChildResult> {
    const env = testEnvironment(dir.path, endpoint, more);
    return more.NODE_EXTRA_CA_CERTS === undefined ? runHere([], env) : runChild([], env);
  }

  it('leads through HTTP_PROXY', async () => {
    const result = await run(hub.url, { HTTP_PROXY: proxy.url });
    expect(result.status, result.stderr).to.equal(0);
    expect(proxy.asked.filter((url) => url.startsWith(hub.url)).length).to.be.greaterThan(2);
    expect(proxy.asked.filter((url) => url.startsWith(hub.cdnUrl)).length).to.be.greaterThan(0);
  });

  it('passes by the proxy for hosts in NO_PROXY', async () => {
    const result = await run(hub.url, { HTTP_PROXY: proxy.url, NO_PROXY: 'localhost,127.0.0.1' });
    expect(result.status, result.stderr).to.equal(0);
    expect(proxy.asked).to.deep.equal([]);
  });

  it('passes by the proxy for subdomains, ranges of addresses and ports in NO_PROXY, as in curl, Python and Go', () => {
    for (const [exceptions, url, isExcepted] of [
      ['corp.example', 'https://hub.corp.example', true],
      ['.corp.example', 'https://corp.example', true],
      ['*.Corp.example', 'https://hub.corp.example', true],
      ['corp.example', 'https://mycorp.example', false],
      ['corp.example.com', 'https://corp.example', false],
      ['other, .svc', 'http://hub.models.svc:8080', true],
      ['corp.example:443', 'https://hub.corp.example', true],
      ['corp.example:8443', 'https://hub.corp.example', false],
      ['10.0.0.0/8', 'http://10.1.2.3:8080', true],
      ['10.0.0.0/8,0.0.0.0/64,::/0', 'http://11.1.2.3', false],
      ['.3', 'http://10.1.2.3', false],
      ['::1', 'http://[::1]:8080', true],
      ['[::1]:8080', 'http://[::1]:8080', true],
      ['[::1]:80', 'http://[::1]:8080', false],
      ['fd00::/8', 'http://[fd12::3]', true],
      ['a *', 'http://hub.example', true],
      [',', 'http://hub.example', false],
    ] as const) {
      const { proxyFor } = loadConfig({
        HTTP_PROXY: 'http://p:3128',
        https_proxy: 'http://p:3128',
        no_proxy: exceptions,
      });
      expect(proxyFor(new URL(url)) === undefined, `${exceptions} and ${url}`).to.equal(isExcepted);
    }
  });

  it('reports a proxy that cannot be reached: exit 5', async () => {
    const gone = proxy.url;
    await proxy.close();
    const result = await run(hub.url, { HTTP_PROXY: gone, DOWNLOAD_ATTEMPTS: '2' });
    expect(result.status, result.stderr).to.equal(5);
    expect(result.stderr)
      .to.include(`cannot be reached through the proxy ${new URL(gone).host} or`)
      .and.include('proxy variables');
    proxy = await startProxy();
  });

  for (const [status, retries, says] of [
    // An answer such as a hub's: a proxy could forge what the certificate protects.
    [203, 0, ' Check the proxy'],
    [401, 0, ' It rejects the user and the password of its address.'],
    [502, 1, ' Check the proxy'],
  ] as const) {
    it(`takes the answer ${status} of a proxy to CONNECT for the proxy's, not for the hub's: exit 5`, async () => {
      const refusing = createServer().on('connect', (_, socket) => {
        const body = JSON.stringify({ sha: '0'.repeat(40) });
        socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
      });
      await once(refusing.listen(0, '127.0.0.1'), 'listening');
      const { port } = refusing.address() as AddressInfo;
      const HTTPS_PROXY = `http://me:hunter2@127.0.0.1:${port}`;
      const result = await run('https://hub.invalid', { HTTPS_PROXY, HF_TOKEN: TOKEN, DOWNLOAD_ATTEMPTS: '2' });
      refusing.close();
      expect(result.status, result.stderr).to.equal(5);
      expect(result.stderr).to.include(
        `The proxy 127.0.0.1:${port} does not connect to hub.invalid (${status}).${says}`,
      );
      expect(result.stderr.split('retrying')).to.have.length(1 + retries);
      expect(result.stderr).not.to.include('hunter2');
    });
  }

  for (const [login, methods, says] of [
    ['', 'Basic realm="proxy"', 'It requires a login: http://user:password@host:port.'],
    ['me:hunter2@', 'Negotiate, Basic realm="proxy"', 'It rejects the user and the password of its address.'],
    ['me:hunter2@', 'Negotiate, NTLM', 'It takes a login by Negotiate or NTLM only, which this program cannot do'],
  ] as const) {
    it(`says of a proxy that takes no request, for http and for https: ${says}`, async () => {
      const headers = { 'proxy-authenticate': methods };
      const guarded = createServer((_, response) => response.writeHead(407, headers).end()).on('connect', (_, socket) =>
        socket.end(`HTTP/1.1 407 No\r\nproxy-authenticate: ${methods}\r\ncontent-length: 0\r\n\r\n`),
      );
      await once(guarded.listen(0, '127.0.0.1'), 'listening');
      const { port } = guarded.address() as AddressInfo;
      for (const endpoint of ['http://hub.invalid', 'https://hub.invalid']) {
        const ALL_PROXY = `http://${login}127.0.0.1:${port}`;
        const result = await run(endpoint, { ALL_PROXY });
        expect(result.status, result.stderr).to.equal(5);
        expect(result.stderr)
          .to.include(`The proxy 127.0.0.1:${port} does not connect to hub.invalid (407). ${says}`)
          .and.not.include('hunter2');
      }
      guarded.closeAllConnections();
      guarded.close();
    });
  }

  it('names the proxy on the way if no byte comes, and keeps no connection to it: exit 5', async () => {
    const silent = createSocketServer((socket) => socket.resume().on('error', () => {}));
    await once(silent.listen(0, '127.0.0.1'), 'listening');
    const ALL_PROXY = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    for (const endpoint of ['http://hub.invalid', 'https://hub.invalid']) {
      const result = await run(endpoint, { ALL_PROXY, DOWNLOAD_ATTEMPTS: '1', DOWNLOAD_STALL_SECONDS: '0.1' });
      expect(result.status, result.stderr).to.equal(5);
      expect(result.stderr).to.include(
        `hub.invalid through the proxy ${new URL(ALL_PROXY).host} sent no byte for 0.1 s`,
      );
    }
    // Comes once the last connection is closed.
    await once(silent.close(), 'close');
  });

  it('reports an answer that is no HTTP/1.1 as one: exit 5', async () => {
    const other = createHttp2Server();
    await once(other.listen(0, '127.0.0.1'), 'listening');
    const { port } = other.address() as AddressInfo;
    const result = await run(`http://127.0.0.1:${port}`, { DOWNLOAD_ATTEMPTS: '1' });
    other.close();
    expect(result.status, result.stderr).to.equal(5);
    expect(result.stderr)
      .to.include('ANSWER_INVALID')
      .and.include(`127.0.0.1:${port} sent an answer that is not valid HTTP/1.1`);
  });

  it('names the proxy beside the hub if an answer over http may be its own', async () => {
    const failing = createServer((_, response) => response.writeHead(502).end());
    await once(failing.listen(0, '127.0.0.1'), 'listening');
    const HTTP_PROXY = `http://127.0.0.1:${(failing.address() as AddressInfo).port}`;
    const result = await run('http://hub.invalid', { HTTP_PROXY, DOWNLOAD_ATTEMPTS: '1' });
    failing.closeAllConnections();
    failing.close();
    expect(result.status, result.stderr).to.equal(5);
    expect(result.stderr)
      .to.include(`hub.invalid through the proxy ${new URL(HTTP_PROXY).host} answered 502`)
      .and.include('or add hub.invalid to NO_PROXY');
  });

  for (const [proxyUrl, says] of [
    ['http://some proxy:3128', 'http://host:port'],
    ['http://[::', 'http://host:port'],
    ['socks5://me:hunter2@127.0.0.1:1080', 'socks5'],
    // The proxy library would throw it where nobody catches it.
    ['http://me:50%@127.0.0.1:3128', '%25'],
  ] as const) {
    it(`rejects the proxy ${proxyUrl}, without showing a password: exit 2`, async () => {
      const result = await run(hub.url, { HTTP_PROXY: proxyUrl });
      expect(result.status, result.stderr).to.equal(2);
      expect(result.stderr)
        .to.include('HTTP_PROXY')
        .and.include(says)
        .and.not.match(/"stack"|hunter2/);
    });
  }

  it('refuses a token that no header can hold, without showing it: exit 2', async () => {
    const result = await runHere([], env({ HF_TOKEN: 'hf_one\nhf_two' }));
    expect(result.status, result.stderr).to.equal(2);
    expect(result.stderr).to.include('HF_TOKEN').and.not.include('hf_one');
    const path = join(dir.path, 'token');
    await writeFile(path, 'hf_\u4e2d\n');
    const fromFile = await runHere([], env({ HF_TOKEN_PATH: path }));
    expect(fromFile.status, fromFile.stderr).to.equal(2);
    expect(fromFile.stderr).to.include(path);
  });

  it('reports a token file that cannot be read; only the default one may be missing: exit 2', async () => {
    const missing = join(dir.path, 'no-token');
    await mkdir(join(dir.path, 'home', 'token'), { recursive: true });
    for (const [where, path] of [
      [{ HF_TOKEN_PATH: missing }, missing],
      [{ HF_HOME: join(dir.path, 'home') }, join(dir.path, 'home', 'token')],
    ] as const) {
      const result = await runHere([], env(where));
      expect(result.status, result.stderr).to.equal(2);
      expect(result.stderr).to.include(`HF_TOKEN_PATH: ${path} cannot be read: `);
    }
    expect((await runHere([], env({ HF_HOME: missing }))).status).to.equal(0);
  });

  it('ignores the default token file of another user, and reports one that HF_TOKEN_PATH names', () => {
    const { HF_HUB_CACHE, HF_HOME = '' } = testEnvironment(dir.path, hub.url);
    const user = process.geteuid?.() ?? 0;
    // The directory of the test is of mode 700.
    if (user === 0) process.seteuid?.(65_534);
    else chmodSync(dir.path, 0);
    try {
      expect(loadConfig({ HF_HUB_CACHE, HF_HOME }).token()).to.equal(undefined);
      const named = loadConfig({ HF_HUB_CACHE, HF_TOKEN_PATH: join(HF_HOME, 'token') });
      expect(() => named.token()).to.throw(/HF_TOKEN_PATH: .* cannot be read: EACCES/);
    } finally {
      if (user === 0) process.seteuid?.(0);
      else chmodSync(dir.path, 0o700);
    }
  });

  it('takes the old name of HF_TOKEN, and says which token the hub rejects: exit 4', async () => {
    await hub.publish({ ...speechRepository(), name: 'acme/private', private: true });
    const HF_TOKEN_PATH = join(dir.path, 'old-token');
    await writeFile(HF_TOKEN_PATH, 'hf_wrong');
    const settings = { ASR_MODEL: 'acme/private', HF_TOKEN_PATH };
    for (const [variables, from] of [
      [{}, HF_TOKEN_PATH],
      [{ HUGGING_FACE_HUB_TOKEN: 'hf_wrong' }, 'HUGGING_FACE_HUB_TOKEN'],
      [{ HF_TOKEN: 'hf_wrong', HUGGING_FACE_HUB_TOKEN: TOKEN }, 'HF_TOKEN'],
    ] as const) {
      const result = await runHere([], env({ ...settings, ...variables }));
      expect(result.status, result.stderr).to.equal(4);
      expect(result.stderr)
        .to.include(`The token in ${from} was rejected`)
        .and.include('or remove it if the repository is public');
    }
    const right = await runHere([], env({ ...settings, HUGGING_FACE_HUB_TOKEN: TOKEN }));
    expect(right.status, right.stderr).to.equal(0);
  });

  it('does not send the token that a login has saved if HF_HUB_DISABLE_IMPLICIT_TOKEN is set', () => {
    const HF_HOME = join(dir.path, 'home');
    const HF_TOKEN_PATH = join(HF_HOME, 'token');
    mkdirSync(HF_HOME);
    writeFileSync(HF_TOKEN_PATH, TOKEN);
    const sent = (more: NodeJS.ProcessEnv) => loadConfig({ HF_HUB_CACHE: dir.path, HF_HOME, ...more }).token()?.value;
    const HF_HUB_DISABLE_IMPLICIT_TOKEN = '1';
    expect(sent({})).to.equal(TOKEN);
    expect(sent({ HF_HUB_DISABLE_IMPLICIT_TOKEN })).to.equal(undefined);
    expect(sent({ HF_HUB_DISABLE_IMPLICIT_TOKEN, HF_TOKEN_PATH })).to.equal(TOKEN);
    expect(sent({ HF_HUB_DISABLE_IMPLICIT_TOKEN, HF_TOKEN: 'hf_given' })).to.equal('hf_given');
  });

  it('expands ~ and variables in the path of the token', async () => {
    await hub.publish({ ...speechRepository(), name: 'acme/private', private: true });
    await mkdir(join(dir.path, 'home', 'hf'), { recursive: true });
    await writeFile(join(dir.path, 'home', 'hf', 'token'), `${TOKEN}\n`);
    const settings = { ASR_MODEL: 'acme/private', HOME: join(dir.path, 'home') };
    for (const where of [{ HF_TOKEN_PATH: '$HOME/hf/token' }, { HF_TOKEN_PATH: '', HF_HOME: '~/hf' }]) {
      const result = await runHere([], env({ ...settings, ...where }));
      expect(result.status, result.stderr).to.equal(0);
    }
  });

  describe('over TLS with a certificate of an own authority', () => {
    let front: TlsFront;

    beforeEach(async () => {
      front = await startTlsFront(dir.path, hub.url, hub.cdnUrl);
    });
    afterEach(() => front.close());

    it('is refused immediately without the certificate, and the error names the variable: exit 5', async () => {
      const result = await run(front.url, {});
      expect(result.status, result.stderr).to.equal(5);
      expect(result.stderr).to.include('NODE_EXTRA_CA_CERTS=/path/ca.pem').and.not.include('retrying');
    });

    it('is refused with the advice to name the same file to Node.js if another variable names one: exit 5', async () => {
      const SSL_CERT_FILE = front.caPath;
      const result = await runHere([], env({ HF_ENDPOINT: front.url, SSL_CERT_FILE, LOG_FORMAT: 'human' }));
      expect(result.status, result.stderr).to.equal(5);
      expect(result.stderr).to.include('NODE_EXTRA_CA_CERTS="$SSL_CERT_FILE" heimdex-downloader');
    });

    it('is trusted with NODE_EXTRA_CA_CERTS', async () => {
      const result = await run(front.url, { NODE_EXTRA_CA_CERTS: front.caPath });
      expect(result.status, result.stderr).to.equal(0);
    });

    it('leads through HTTPS_PROXY', async () => {
      // Without a scheme the proxy is reached over http.
      const HTTPS_PROXY = new URL(proxy.url).host;
      const result = await run(front.url, { NODE_EXTRA_CA_CERTS: front.caPath, HTTPS_PROXY });
      expect(result.status, result.stderr).to.equal(0);
      expect(new Set(proxy.asked)).to.deep.equal(new Set([new URL(front.url).host]));
    });

    it('leads through HTTPS_PROXY to a hub that is named by its number', async () => {
      const result = await run(front.numberUrl, { NODE_EXTRA_CA_CERTS: front.caPath, HTTPS_PROXY: proxy.url });
      expect(result.status, result.stderr).to.equal(0);
    });

    it('is refused if the certificate is for another address, with and without a proxy: exit 5', async () => {
      const other = await startTlsFront(dir.path, hub.url, hub.cdnUrl, { ip: '127.0.0.2' });
      for (const way of [{ HTTPS_PROXY: proxy.url }, {}]) {
        const result = await run(other.numberUrl, { NODE_EXTRA_CA_CERTS: other.caPath, ...way });
        expect(result.status, result.stderr).to.equal(5);
        expect(result.stderr).to.include('ERR_TLS_CERT_ALTNAME_INVALID: ').and.include('issue a valid one');
      }
      await other.close();
    });

    it('is refused immediately if the certificate is not valid yet, and the error names the clock: exit 5', async () => {
      const future = await startTlsFront(dir.path, hub.url, hub.cdnUrl, { validFrom: new Date('2200-01-01') });
      const result = await run(future.url, { NODE_EXTRA_CA_CERTS: future.caPath });
      await future.close();
      expect(result.status, result.stderr).to.equal(5);
      expect(result.stderr)
        .to.include('CERT_NOT_YET_VALID')
        .and.include("this machine's clock")
        .and.not.include('retrying');
    });

    it('is refused immediately if the certificate itself is wrong, and the error has the reason: exit 5', async () => {
      const wrong = await startTlsFront(dir.path, hub.url, hub.cdnUrl, { isForServers: false });
      const result = await run(wrong.url, { NODE_EXTRA_CA_CERTS: wrong.caPath });
      await wrong.close();
      expect(result.status, result.stderr).to.equal(5);
      expect(result.stderr).to.include('is not trusted (INVALID_PURPOSE: ').and.not.include('retrying');
    });

    it('is refused immediately if the other end has none, and the error names the proxy on the way: exit 5', async () => {
      const direct = await run(hub.url.replace('http:', 'https:'), {});
      expect(direct.status, direct.stderr).to.equal(5);
      expect(direct.stderr).to.include('Write http:// instead of https://').and.not.include('retrying');
      const HTTPS_PROXY = proxy.url.replace('http:', 'https:');
      const result = await run(front.url, { HTTPS_PROXY });
      expect(result.status, result.stderr).to.equal(5);
      expect(result.stderr)
        .to.include(`through the proxy ${new URL(proxy.url).host} over TLS`)
        .and.not.include('retrying');
    });

    it('is retried if the handshake fails, and the error has the reason of OpenSSL: exit 5', async () => {
      // The alert of a server that speaks another version of TLS.
      const other = createSocketServer((socket) =>
        socket.once('data', () => socket.end('\x15\x03\x01\x00\x02\x02\x46', 'latin1')),
      );
      await once(other.listen(0, '127.0.0.1'), 'listening');
      const { port } = other.address() as AddressInfo;
      const result = await run(`https://127.0.0.1:${port}`, { DOWNLOAD_ATTEMPTS: '2' });
      other.close();
      expect(result.status, result.stderr).to.equal(5);
      expect(result.stderr).to.match(/retrying.*\n.*closed the connection \(tlsv1 alert protocol version\)/);
    });

    it('is refused if the certificate of a proxy is not trusted, and the error names the proxy: exit 5', async () => {
      const result = await run('https://hub.invalid', { HTTPS_PROXY: front.url });
      expect(result.status, result.stderr).to.equal(5);
      expect(result.stderr).to.include(`of hub.invalid, or of the proxy ${new URL(front.url).host}, is not trusted`);
    });

    it('is never left for an unencrypted address', async () => {
      hub.faults.add({
        on: { server: 'hub', kind: 'resolve' },
        do: { type: 'redirect', location: `${hub.cdnUrl}/anything` },
        times: 1,
      });
      const front2 = await startTlsFront(dir.path, hub.url, 'http://never');
      const result = await run(front2.url, { NODE_EXTRA_CA_CERTS: front2.caPath });
      await front2.close();
      expect(result.status, result.stderr).to.equal(5);
      expect(result.stderr).to.include('REDIRECT_REFUSED');
    });
  });
});
