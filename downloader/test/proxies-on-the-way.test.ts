import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { openHttp } from '../src/transfer/http.js';
import { NetworkState } from '../src/transfer/network-state.js';
import { startEncodingFront } from './support/encoding-front.js';
import { expectVerified, type ProgramResult, runHere } from './support/program.js';
import { useHub } from './support/use-hub.js';

/** An answer of the hub, as a proxy gets it. */
interface Answer {
  readonly status: number;
  /** `content-range`, if it is a part. */
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Buffer;
}

describe('a download through a server that passes on what the hub sends', () => {
  const { hub, env } = useHub();

  /** Runs with such a server as the hub; `send` answers its requests. */
  async function through(
    send: (answer: Answer, request: IncomingMessage, response: ServerResponse) => void,
    more: NodeJS.ProcessEnv = {},
  ): Promise<ProgramResult> {
    const proxy = createServer(async (request, response) => {
      const { range } = request.headers;
      const answer = await fetch(new URL(request.url ?? '/', hub.url), {
        headers: range === undefined ? {} : { range },
      });
      const part = answer.headers.get('content-range');
      const headers: Record<string, string> = part === null ? {} : { 'content-range': part };
      send({ status: answer.status, headers, bytes: Buffer.from(await answer.arrayBuffer()) }, request, response);
    }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const HF_ENDPOINT = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const result = await runHere([], env({ HF_ENDPOINT, ...more }));
    proxy.closeAllConnections();
    proxy.close();
    return result;
  }

  it('passes a cache that answers a range with all bytes to the end of the file', async () => {
    const cache = await startEncodingFront(
      hub.url,
      () => undefined,
      (range) => range.replace(/\d+$/, ''),
    );
    const result = await runHere([], env({ HF_ENDPOINT: cache.url }));
    await cache.close();
    await expectVerified(result, env());
  });

  it('passes one that sends no length and leaves out the end: of a range by silence, of a whole file by a cut', async () => {
    const result = await through(
      ({ status, headers, bytes }, { url = '/', headers: { range } }, response) => {
        response.writeHead(status, headers).write(bytes, () => {
          if (url.startsWith('/api/')) response.end();
          else if (range === undefined) response.destroy();
        });
      },
      { DOWNLOAD_ATTEMPTS: '1' },
    );
    await expectVerified(result, env());
    expect(result.stderr).not.to.include('retrying');
  });

  it('asks past a cache that holds other bytes, and another length, for a file', async () => {
    const result = await through(({ status, headers, bytes: own }, { url = '/', headers: asked }, response) => {
      const isHeld = asked['cache-control'] !== 'no-cache' && !url.startsWith('/api/');
      const bytes = isHeld ? Buffer.alloc(url.endsWith('.onnx') ? own.length : own.length + 1) : own;
      response.writeHead(status, { ...headers, 'content-length': bytes.length }).end(bytes);
    });
    await expectVerified(result, env());
  });

  it('passes one that closes each connection after its first answer without a word of it', async () => {
    const used = new WeakSet<Socket>();
    const result = await through(
      ({ status, headers, bytes }, { socket }, response) => {
        if (used.has(socket)) return void socket.destroy();
        used.add(socket);
        response.writeHead(status, { ...headers, 'content-length': bytes.length }).end(bytes);
      },
      { DOWNLOAD_ATTEMPTS: '1' },
    );
    await expectVerified(result, env());
  });

  it('passes one that closes a connection after its first answer, with requests that wait for that connection', async () => {
    const used = new WeakSet<Socket>();
    const proxy = createServer(({ socket }, response) => {
      if (used.has(socket)) return void socket.destroy();
      used.add(socket);
      response.end('an answer');
    }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const url = new URL(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}`);
    const http = await openHttp({
      connections: 1,
      userAgent: 'test',
      network: new NetworkState(),
      proxyFor: () => undefined,
      stallMs: 60_000,
      certificateVariable: undefined,
    });
    const get = async () => text((await http.get(url, {}, new AbortController().signal)).body);
    try {
      expect(await Promise.all([get(), get(), get()])).to.deep.equal(Array(3).fill('an answer'));
    } finally {
      http.close();
      proxy.closeAllConnections();
      proxy.close();
    }
  });
});
