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
import { startFakeService } from './support/fake-service.js';

type Watch = ServerWritableStream<HealthCheckRequest, HealthCheckResponse>;

describe('a health watch', () => {
  it('ends its stream when it is stopped, although the connection stays', async () => {
    let opened = (_call: Watch) => {};
    const call = new Promise<Watch>((resolve) => {
      opened = resolve;
    });
    const watch = (watching: Watch) => {
      watching.write(create(HealthCheckResponseSchema, { status: Serving.SERVING }));
      opened(watching);
    };
    const service = await startFakeService([[Health, { watch }]]);
    const endpoint = new Endpoint(service.address, credentials.createInsecure(), {});
    try {
      const started = new HealthWatch(endpoint);
      const cancelled = once(await call, 'cancelled');
      started.stop();
      await cancelled;
    } finally {
      endpoint.close();
      service.close();
    }
  });
});
