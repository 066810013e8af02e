import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { InferenceService } from '@heimdex/gen';
import { expect } from 'chai';
import { pino } from 'pino';
import { ServerState } from '../../src/services/state.js';
import { createPlainListener } from '../../src/transport/http/plain-http.js';
import { type FakeServer, startFakeServer } from '../fixtures/fake-server.js';

describe('a plain HTTP request', () => {
  let fake: FakeServer;
  let withoutOpenAi: FakeServer;
  before(async () => {
    fake = await startFakeServer();
    withoutOpenAi = await startFakeServer({ OPENAI_API: 'false' });
  });
  after(() => Promise.all([fake.close(), withoutOpenAi.close()]));

  it('to a route of the Python service gets 404 with the call that has taken its place', async () => {
    for (const [route, method] of [
      ['/asr/transcribe', 'Transcribe'],
      ['/embed/text?x=1', 'EmbedText'],
      ['/embed/vision', 'EmbedImage'],
      ['/face/detect', 'DetectFaces'],
    ]) {
      const response = await fetch(fake.url + route, { method: 'POST', body: '{}' });
      expect(response.status).to.equal(404);
      const { error } = (await response.json()) as { error: string };
      expect(error).to.match(
        new RegExp(`^Not found: POST /\\S+\\. Use POST /heimdex\\S+Service/${method}, .*moving-from`),
      );
    }
  });

  it('of an OpenAI client whose base URL lacks the /v1 gets 404 with that, or with the variable that switches the API on', async () => {
    for (const [path, server, says] of [
      ['/embeddings', fake, ". OpenAI's API is below /v1: end the client's base URL with it"],
      ['/audio/transcriptions', fake, ". OpenAI's API is below /v1: end the client's base URL with it"],
      ['/v1/embeddings', withoutOpenAi, ". With OPENAI_API=true the server has OpenAI's API"],
    ] as const) {
      const response = await fetch(server.url + path, { method: 'POST', body: '{}' });
      const error = `Not found: POST ${path}${says}`;
      expect([response.status, await response.json()]).to.deep.equal([404, { error }]);
    }
  });

  it('to a misspelt method, or to the route of another server, gets 404 with those that there are', async () => {
    const server = await startFakeServer();
    try {
      const { typeName, methods } = InferenceService;
      for (const [path, says] of [
        [`/${typeName}/Embedtext`, `. Its methods: ${methods.map(({ name }) => name).join(', ')}`],
        ['/embed', '. Use POST /v1/embeddings, see docs/openai.md'],
      ]) {
        const response = await fetch(server.url + path, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: '{}',
        });
        expect([response.status, await response.json()]).to.deep.equal([
          404,
          { error: `Not found: POST ${path}${says}` },
        ]);
      }
    } finally {
      await server.close();
    }
  });

  it('of a browser to the root gets 404 with the variable that puts a page there', async () => {
    const errorOf = async (path: string) => (await (await fetch(fake.url + path)).json()) as { error: string };
    expect(await errorOf('/?x')).to.deep.equal({
      error: 'Not found: GET /. With PLAYGROUND=true the server has a page to try it here',
    });
    expect(await errorOf('/x')).to.deep.equal({ error: 'Not found: GET /x' });
  });

  it('to the page with another method than GET is told which it takes', async () => {
    const server = await startFakeServer({ PLAYGROUND: 'true' });
    try {
      const response = await fetch(server.url, { method: 'POST', body: '{}' });
      expect([response.status, response.headers.get('allow')]).to.deep.equal([405, 'GET, HEAD']);
      expect(await response.json()).to.deep.equal({ error: '/ takes GET.' });
    } finally {
      await server.close();
    }
  });

  it('that fails in the server gets 500 without internals, and the error is logged', async () => {
    const lines: string[] = [];
    const listener = createPlainListener({
      state: new ServerState(new Map()),
      device: 'cpu',
      log: pino({ base: null }, { write: (line: string) => lines.push(line) }),
      memoryBytes: () => Promise.reject(new Error('no /proc')),
      metrics: () => Promise.reject(new Error('a broken gauge')),
    });
    const server = http.createServer(listener).listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const { port } = server.address() as AddressInfo;
      for (const path of ['/metrics', '/health']) {
        const response = await fetch(`http://127.0.0.1:${port}${path}`);
        expect(response.status, path).to.equal(500);
        expect(await response.text()).not.to.match(/gauge|proc/);
      }
    } finally {
      server.closeAllConnections();
      server.close();
    }
    const logged = lines.map((line) => JSON.parse(line) as { path: string; err: { message: string } });
    expect(logged.map(({ path, err }) => [path, err.message])).to.deep.equal([
      ['/metrics', 'a broken gauge'],
      ['/health', 'no /proc'],
    ]);
  });
});
