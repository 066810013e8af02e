import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { watchStreams } from '../../src/transport/grpc/http2-server.js';

describe('a session of HTTP/2', () => {
  it('ends in the turn after it is asked to: Node.js asks while the frames behind a GOAWAY are being read, and crashes', async () => {
    const server = new grpc.Server();
    watchStreams(server, { began: () => {}, other: () => {} });
    const makes = server as unknown as { createHttp2Server(credentials: grpc.ServerCredentials): http2.Http2Server };
    const made = makes.createHttp2Server(grpc.ServerCredentials.createInsecure()).listen(0, '127.0.0.1');
    await once(made, 'listening');
    const client = http2.connect(`http://127.0.0.1:${(made.address() as AddressInfo).port}`);
    try {
      const [session] = (await once(made, 'session')) as [http2.ServerHttp2Session];
      const closed = once(session, 'close');
      session.close();
      expect(session.closed).to.equal(false);
      await closed;
      const destroyed = http2.connect(`http://127.0.0.1:${(made.address() as AddressInfo).port}`).on('error', () => {});
      const [other] = (await once(made, 'session')) as [http2.ServerHttp2Session];
      const gone = once(other, 'close');
      other.destroy();
      expect(other.destroyed).to.equal(false);
      await gone;
      destroyed.destroy();
    } finally {
      client.destroy();
      made.close();
      server.forceShutdown();
    }
  });

  it('refuses a call with more headers than it says it takes, alone of its connection', async () => {
    const server = new grpc.Server();
    watchStreams(server, { began: () => {}, other: (stream) => void stream.end('well') });
    const port = await promisify(server.bindAsync.bind(server))('127.0.0.1:0', grpc.ServerCredentials.createInsecure());
    const client = http2.connect(`http://127.0.0.1:${port}`, { maxSendHeaderBlockLength: 1024 * 1024 });
    try {
      while (client.remoteSettings.maxHeaderListSize !== 65_536) await once(client, 'remoteSettings');
      const large = client.request({ ':path': '/health', 'x-large': Array<string>(5).fill('v'.repeat(30_000)) });
      const [error] = (await once(large, 'error')) as [Error];
      expect(error.message).to.equal('Stream closed with error code NGHTTP2_ENHANCE_YOUR_CALM');
      const other = client.request({ ':path': '/health' });
      expect(await text(other)).to.equal('well');
    } finally {
      client.destroy();
      server.forceShutdown();
    }
  });
});
