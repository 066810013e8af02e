import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { lastLine, runHere, testEnvironment } from './support/program.js';
import { useHub } from './support/use-hub.js';
import { temporaryDir } from './support/volume.js';

/** A page of a file list that lists nothing, and is only just not too large. */
const PAGE = gzipSync(`[${' '.repeat(63 * 1024 * 1024)}]`);

describe('a file list in pages', () => {
  const { hub, env } = useHub({ pageSize: 3 });

  for (const status of [401, 403]) {
    it(`that ends with a refusal (${status}) is not taken for one that needs a token: exit 5`, async () => {
      hub.faults.add({ on: { kind: 'tree' }, do: { type: 'status', status }, after: 1 });
      const result = await runHere(['plan'], env());
      expect(result.status, result.stderr).to.equal(5);
      expect(lastLine(result).msg).to.include('refuses a later page').and.not.include('set HF_TOKEN');
    });
  }
});

describe('a file list', () => {
  const dir = temporaryDir();
  let hub: Server;
  let url: string;
  let pages = 0;

  before(async () => {
    hub = createServer((request, response) => {
      if (request.url?.includes('/revision/')) return response.end(JSON.stringify({ sha: 'a'.repeat(40) }));
      pages += 1;
      response.writeHead(200, { 'content-encoding': 'gzip', link: `<${url}${request.url}>; rel="next"` });
      return response.end(PAGE);
    }).listen(0, '127.0.0.1');
    await once(hub, 'listening');
    url = `http://127.0.0.1:${(hub.address() as AddressInfo).port}`;
  });
  after(() => {
    hub.closeAllConnections();
    hub.close();
  });

  it('whose pages do not end is refused before it fills the memory: exit 5', async () => {
    const result = await runHere(['plan'], testEnvironment(dir.path, url));
    expect(result.status, result.stderr).to.equal(5);
    expect(lastLine(result)).to.include({ code: 'ANSWER_INVALID' });
    expect(lastLine(result).msg).to.include('at most 256 MiB');
    expect(pages).to.equal(5);
  });
});
