import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, createServer as createSocketServer } from 'node:net';
import { expect } from 'chai';
import { loadConfig } from '../src/config.js';
import { startProxy } from './support/proxy.js';
import { useProxy } from './support/use-proxy.js';

const TOKEN = 'hf_right';

describe('the way to the hub', () => {
  const { hub, proxy, run } = useProxy();

  it('leads through HTTP_PROXY', async () => {
    const result = await run(hub.url, { HTTP_PROXY: proxy().url });
    expect(result.status, result.stderr).to.equal(0);
    expect(proxy().asked.filter((url) => url.startsWith(hub.url)).length).to.be.greaterThan(2);
    expect(proxy().asked.filter((url) => url.startsWith(hub.cdnUrl)).length).to.be.greaterThan(0);
  });

  it('passes by the proxy for hosts in NO_PROXY', async () => {
    const result = await run(hub.url, { HTTP_PROXY: proxy().url, NO_PROXY: 'localhost,127.0.0.1' });
    expect(result.status, result.stderr).to.equal(0);
    expect(proxy().asked).to.deep.equal([]);
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
    const gone = await startProxy();
    await gone.close();
    const result = await run(hub.url, { HTTP_PROXY: gone.url, DOWNLOAD_ATTEMPTS: '2' });
    expect(result.status, result.stderr).to.equal(5);
    expect(result.stderr)
      .to.include(`cannot be reached through the proxy ${new URL(gone.url).host} or`)
      .and.include('proxy variables');
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
});
