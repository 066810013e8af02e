import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { MIB } from '@heimdex/common';
import { expect } from 'chai';
import { readForm } from '../../src/transport/openai/multipart.js';
import { ARRIVAL, admissionOf } from '../fixtures/admission.js';

describe('a form with a large file', () => {
  it('yields to other requests for each of its bytes once, whether it is accepted, or refused for one mistake or many', async () => {
    const admission = admissionOf({ memoryBytes: 64 * MIB, maxMessageBytes: 16 * MIB });
    let pacedBytes = 0;
    const server = http.createServer(async (request, response) => {
      const call = admission.admit({ ...ARRIVAL, protocol: 'openai' }, { streaming: false });
      const pace = call.body.pace.bind(call.body);
      call.body.pace = (bytes, source) => {
        pacedBytes += bytes;
        pace(bytes, source);
      };
      const form = await readForm({ request, call }, 'file').catch(() => undefined);
      if (!request.complete) await once(request, 'end');
      call.close();
      response.end(String(form?.file?.byteLength));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const post = async (name: string, mistakes = 0) => {
      const body = new FormData();
      for (let count = 0; count < mistakes; count += 1) body.append('', 'x');
      body.append(name, new Blob([new Uint8Array(8 * MIB)]), 'a.wav');
      pacedBytes = 0;
      return (await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body })).text();
    };
    try {
      expect(await post('file')).to.equal(String(8 * MIB));
      expect(pacedBytes).to.be.greaterThan(8 * MIB);
      for (const mistakes of [0, 20]) {
        expect(await post('sound', mistakes)).to.equal('undefined');
        expect(pacedBytes).to.be.within(8 * MIB, 9 * MIB);
      }
    } finally {
      server.closeAllConnections();
      server.close();
      admission.close();
    }
  });
});
