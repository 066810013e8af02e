import { type Hub, startHub } from '@heimdex/hub';
import { expect } from 'chai';
import { type ChildResult, runChild } from './support/child.js';
import { testEnvironment } from './support/program.js';
import { type ForwardProxy, startProxy } from './support/proxy.js';
import { speechRepository } from './support/repositories.js';
import { startTlsFront, type TlsFront } from './support/tls-front.js';
import { temporaryFolder } from './support/volume.js';

// Node.js and the proxy library read their variables when a process starts, so each run is a process of its own.
describe('the way to the hub', () => {
  const folder = temporaryFolder();
  let hub: Hub;
  let proxy: ForwardProxy;

  beforeEach(async () => {
    hub = await startHub({ repositories: [speechRepository()] });
    proxy = await startProxy();
  });
  afterEach(async () => {
    await proxy.close();
    await hub.close();
  });

  function run(endpoint: string, more: NodeJS.ProcessEnv): Promise<ChildResult> {
    return runChild([], testEnvironment(folder.path, endpoint, more));
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

  it('says that a proxy cannot be reached: exit 5', async () => {
    const gone = proxy.url;
    await proxy.close();
    const result = await run(hub.url, { HTTP_PROXY: gone, DOWNLOAD_ATTEMPTS: '2' });
    expect(result.status, result.stderr).to.equal(5);
    expect(result.stderr).to.include('proxy variables');
    proxy = await startProxy();
  });

  describe('over TLS with a certificate of an own authority', () => {
    let front: TlsFront;

    beforeEach(async () => {
      front = await startTlsFront(folder.path, hub.url, hub.cdnUrl);
    });
    afterEach(() => front.close());

    it('is refused at once without the certificate, saying which variable names it: exit 5', async () => {
      const result = await run(front.url, {});
      expect(result.status, result.stderr).to.equal(5);
      expect(result.stderr).to.include('NODE_EXTRA_CA_CERTS=').and.not.include('trying again');
    });

    it('is trusted with NODE_EXTRA_CA_CERTS', async () => {
      const result = await run(front.url, { NODE_EXTRA_CA_CERTS: front.caPath });
      expect(result.status, result.stderr).to.equal(0);
    });

    it('leads through HTTPS_PROXY', async () => {
      const result = await run(front.url, { NODE_EXTRA_CA_CERTS: front.caPath, HTTPS_PROXY: proxy.url });
      expect(result.status, result.stderr).to.equal(0);
      expect(new Set(proxy.asked)).to.deep.equal(new Set([new URL(front.url).host]));
    });

    it('is never left for an unencrypted address', async () => {
      hub.faults.add({
        on: { server: 'hub', kind: 'resolve' },
        do: { type: 'redirect', location: `${hub.cdnUrl}/anything` },
        times: 1,
      });
      const front2 = await startTlsFront(folder.path, hub.url, 'http://never');
      const result = await run(front2.url, { NODE_EXTRA_CA_CERTS: front2.caPath });
      await front2.close();
      expect(result.status, result.stderr).to.equal(5);
      expect(result.stderr).to.include('REDIRECT_REFUSED');
    });
  });
});
