import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A proxy in front of a hub that encodes what it passes on, whether or not that was asked for. */
export interface EncodingFront {
  readonly url: string;
  /** Requests that were passed on, with their Range. */
  readonly ranges: readonly (string | undefined)[];
  close(): Promise<void>;
}

/** What becomes of an answer's body. */
export interface Encoded {
  readonly coding: string;
  encode(body: Buffer): Buffer;
}

/**
 * Starts the front. Redirects to other hosts lead through it too.
 *
 * @param encodingOf - The encoding of an answer by the path that was asked for; undefined: none.
 * @param passedRange - The Range that the hub is asked for instead. Default: the same.
 */
export async function startEncodingFront(
  hubUrl: string,
  encodingOf: (path: string) => Encoded | undefined,
  passedRange: (range: string) => string = (range) => range,
): Promise<EncodingFront> {
  const ranges: (string | undefined)[] = [];
  const server = createServer(async (request, response) => {
    const own = new URL(request.url ?? '/', url);
    const target = own.searchParams.get('elsewhere') ?? new URL(request.url ?? '/', hubUrl).href;
    const { range, 'accept-encoding': accepted = '' } = request.headers;
    ranges.push(range);
    const headers = {
      'accept-encoding': String(accepted),
      ...(range === undefined ? {} : { range: passedRange(range) }),
    };
    const answer = await fetch(target, { headers, redirect: 'manual' });
    const sent: Record<string, string> = {};
    for (const [name, value] of answer.headers) {
      if (!['content-length', 'connection', 'transfer-encoding', 'keep-alive'].includes(name)) sent[name] = value;
    }
    const location = answer.headers.get('location');
    if (location?.startsWith('http') === true) sent.location = `${url}/?elsewhere=${encodeURIComponent(location)}`;
    const body = Buffer.from(await answer.arrayBuffer());
    const encoding = answer.ok ? encodingOf(new URL(target).pathname) : undefined;
    if (encoding !== undefined) sent['content-encoding'] = encoding.coding;
    const bytes = encoding?.encode(body) ?? body;
    response.writeHead(answer.status, { ...sent, 'content-length': String(bytes.length) }).end(bytes);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    ranges,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
