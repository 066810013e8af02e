/** Server-sent events, as fast as they are read. */
import type { ServerResponse } from 'node:http';
import type { AdmittedCall } from '../calls/admission.js';
import { drained } from '../calls/drained.js';

/** The status goes out with the first event, so that what fails before it has its own. Rejects with why the events ended early. */
export async function sendEvents(
  response: ServerResponse,
  events: AsyncIterable<unknown>,
  { open, answer }: AdmittedCall,
  idleMs: number,
): Promise<void> {
  const { signal } = open.call;
  for await (const event of events) {
    signal.throwIfAborted();
    const text = `data: ${JSON.stringify(event)}\n\n`;
    if (!response.headersSent) {
      response.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        // Proxies that gather an answer would keep its events back.
        'x-accel-buffering': 'no',
      });
    }
    answer(response.writableLength + Buffer.byteLength(text));
    if (!response.write(text)) await drained(response, signal, idleMs);
  }
}
