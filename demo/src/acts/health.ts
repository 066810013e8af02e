import type { InferenceClient } from '@heimdex/client';
import { type Show, time } from '../show.js';

/** Shows what the server says of itself. */
export async function health(show: Show, client: InferenceClient, address: string, signal: AbortSignal): Promise<void> {
  show.step('Health, for people and for orchestrators');
  show.command(`curl http://${address}/health`);
  const response = await fetch(`http://${address}/health`, { signal });
  show.line(`   ${(await response.text()).trim()}`);
  const statuses = await client.listHealth({ signal });
  const methods = Object.keys(statuses).flatMap((name) => name.split('/').slice(1));
  const startMs = performance.now();
  const status = await client.checkHealth('', { signal });
  show.item('grpc.health.v1', `${status} in ${time(performance.now() - startMs)}: ${methods.join(', ')}`);
}
