import { once } from 'node:events';
import { type AddressInfo, createServer as createSocketServer } from 'node:net';
import { expect } from 'chai';
import { runHere } from './support/program.js';
import { startTlsFront, type TlsFront } from './support/tls-front.js';
import { useProxy } from './support/use-proxy.js';

describe('the way to the hub over TLS with a certificate of an own authority', () => {
  const { dir, hub, env, proxy, run } = useProxy();
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
    const HTTPS_PROXY = new URL(proxy().url).host;
    const result = await run(front.url, { NODE_EXTRA_CA_CERTS: front.caPath, HTTPS_PROXY });
    expect(result.status, result.stderr).to.equal(0);
    expect(new Set(proxy().asked)).to.deep.equal(new Set([new URL(front.url).host]));
  });

  it('leads through HTTPS_PROXY to a hub that is named by its number', async () => {
    const result = await run(front.numberUrl, { NODE_EXTRA_CA_CERTS: front.caPath, HTTPS_PROXY: proxy().url });
    expect(result.status, result.stderr).to.equal(0);
  });

  it('is refused if the certificate is for another address, with and without a proxy: exit 5', async () => {
    const other = await startTlsFront(dir.path, hub.url, hub.cdnUrl, { ip: '127.0.0.2' });
    for (const way of [{ HTTPS_PROXY: proxy().url }, {}]) {
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
    const HTTPS_PROXY = proxy().url.replace('http:', 'https:');
    const result = await run(front.url, { HTTPS_PROXY });
    expect(result.status, result.stderr).to.equal(5);
    expect(result.stderr)
      .to.include(`through the proxy ${new URL(proxy().url).host} over TLS`)
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
