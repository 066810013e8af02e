import { once } from 'node:events';
import http2 from 'node:http2';
import { promisify } from 'node:util';
import grpc from '@grpc/grpc-js';
import { MIB } from '@heimdex/common';
import { Health } from '@heimdex/gen';
import { expect } from 'chai';
import { pino } from 'pino';
import { defineService } from '../../src/services/service.js';
import { CallTracker } from '../../src/transport/calls/call-tracker.js';
import { createGrpcServer } from '../../src/transport/grpc/grpc-server.js';
import { MessageDecoder } from '../../src/transport/messages/message-decoder.js';
import { admissionOf } from '../fixtures/admission.js';

describe('the headers of a gRPC call', () => {
  it('count as memory, of which a repeated one takes a byte on the connection', async () => {
    const callTracker = new CallTracker(pino({ level: 'silent' }));
    const admission = admissionOf({ callTracker });
    const decoder = new MessageDecoder({ maxValues: 10, maxDepth: 2, maxTextBytes: MIB });
    const limits = { maxMessageBytes: MIB, maxConnectionAgeMs: 0, streamIdleMs: 1000 };
    const service = defineService(Health, { check: () => ({}), list: () => ({}), async *watch() {} });
    const server = createGrpcServer({ services: [service], callTracker, admission, decoder, ...limits });
    const bind = promisify(server.bindAsync.bind(server));
    const session = http2.connect(
      `http://127.0.0.1:${await bind('127.0.0.1:0', grpc.ServerCredentials.createInsecure())}`,
    );
    try {
      const repeated = { 'x-repeated': Array<string>(5).fill('v'.repeat(3900)) };
      const headers = {
        ':method': 'POST',
        ':authority': 'a'.repeat(40_000),
        ':path': '/grpc.health.v1.Health/Check',
        'content-type': 'application/grpc',
      };
      session.request({ ...headers, ...repeated }).on('error', () => {});
      await once(session, 'connect');
      await new Promise((resolve) => session.ping(resolve));
      expect(admission.heldBytes).to.be.within(40_000 + 5 * 3900, 40_000 + 5 * 3900 + 20_000);
    } finally {
      session.destroy();
      server.forceShutdown();
      await decoder.close();
    }
  });
});
