import type { InferenceClient } from '@heimdex/client';
import { formatMs, type Show } from '../show.js';

/** Shows the server's health over HTTP and gRPC. */
export async function health(show: Show, client: InferenceClient, address: string, signal: AbortSignal): Promise<void> {
  show.step('Health, over HTTP and gRPC');
  show.command(`curl http://${address}/health`);
  const response = await fetch(`http://${address}/health`, { signal });
  show.line(`   ${(await response.text()).trim()}`);
  const statuses = await client.listHealth({ signal });
  const methods = Object.keys(statuses).flatMap((name) => name.split('/').slice(1));
  const startMs = performance.now();
  const status = await client.checkHealth('', { signal });
  show.item('grpc.health.v1', `${status} in ${formatMs(performance.now() - startMs)}: ${methods.join(', ')}`);
}
