import { once } from 'node:events';
import { create } from '@bufbuild/protobuf';
import { credentials, type ServerWritableStream } from '@grpc/grpc-js';
import {
  Health,
  type HealthCheckRequest,
  type HealthCheckResponse,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as Serving,
} from '@heimdex/gen';
import { Endpoint } from '../src/transport/endpoint.js';
import { HealthWatch } from '../src/transport/health-watch.js';
import { deferred, startFakeService } from './support/fake-service.js';

type Watch = ServerWritableStream<HealthCheckRequest, HealthCheckResponse>;

describe('a health watch', () => {
  it('ends its stream when it is stopped, although the connection stays', async () => {
    const opened = deferred<Watch>();
    const watch = (watching: Watch) => {
      watching.write(create(HealthCheckResponseSchema, { status: Serving.SERVING }));
      opened.resolve(watching);
    };
    const service = await startFakeService([[Health, { watch }]]);
    const endpoint = new Endpoint(service.address, credentials.createInsecure(), {});
    try {
      const started = new HealthWatch(endpoint);
      const cancelled = once(await opened.promise, 'cancelled');
      started.stop();
      await cancelled;
    } finally {
      endpoint.close();
      service.close();
    }
  });
});
