/** Sends a file or a range of it over HTTP, applying faults on bytes. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Exchange } from './exchange.js';
import type { CommittedFile } from './repository.js';

interface Range {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

/** Responds with 200, 206 or 416. `headers` are those that do not depend on the range. */
export async function sendFile(
  exchange: Exchange,
  file: CommittedFile,
  headers: Readonly<Record<string, string | number>>,
): Promise<void> {
  const lie = exchange.lie();
  const reportedBytes = Math.max(0, file.sizeBytes + lie);
  const requested = exchange.request.headers.range;
  const whole: Range = { start: 0, end: file.sizeBytes };
  const ignored = requested !== undefined && exchange.faults(['ignore-range']).length > 0;
  const range = requested === undefined || ignored ? whole : parseRange(requested, whole);
  if (range === undefined) {
    exchange.send(416, { ...headers, 'content-range': `bytes */${reportedBytes}` }, '');
    return;
  }
  const partial = range !== whole;
  const cut = exchange.faults(['truncate'])[0]?.missingBytes ?? 0;
  const end = Math.max(range.start, range.end - cut);
  exchange.head(partial ? 206 : 200, {
    'content-type': 'application/octet-stream',
    'accept-ranges': 'bytes',
    ...headers,
    'content-length': end - range.start + (partial ? 0 : lie),
    ...(partial ? { 'content-range': `bytes ${range.start}-${range.end - 1}/${reportedBytes}` } : {}),
    // A wrong length makes the connection unusable.
    ...(lie === 0 ? {} : { connection: 'close' }),
  });
  if (exchange.headOnly) {
    exchange.response.end();
    return;
  }
  await sendBytes(exchange, file, { start: range.start, end });
}

async function sendBytes(exchange: Exchange, file: CommittedFile, range: Range): Promise<void> {
  const { response } = exchange;
  const { signal } = exchange.context;
  const covers = ({ atByte }: { readonly atByte: number }) => atByte >= range.start && atByte < range.end;
  const flips = exchange.faults(['flip'], covers).map(({ atByte }) => atByte);
  const [stop] = exchange.faults(['stall', 'drop'], covers);
  const [slow] = exchange.faults(['slow']);
  const end = stop?.atByte ?? range.end;
  let at = range.start;
  // Flush the head immediately: a stalled body must not look like a server without a response.
  response.flushHeaders();
  for await (const read of file.read(range.start, end)) {
    for (const part of partsOf(read as Buffer, slow?.partBytes)) {
      if (response.destroyed || signal.aborted) return;
      const bytes = flipped(part, at, flips);
      at += bytes.length;
      exchange.sent(bytes.length);
      if (!response.write(bytes)) await drained(response);
      if (slow !== undefined) await sleep(slow.pauseMs, undefined, { signal });
    }
  }
  if (stop === undefined) response.end();
  else if (stop.type === 'drop') await dropAfterFlush(exchange);
}

function drained(response: Exchange['response']): Promise<unknown> {
  const stop = new AbortController();
  // Wait for drain or close, whichever comes first.
  return Promise.race([
    once(response, 'drain', { signal: stop.signal }),
    once(response, 'close', { signal: stop.signal }),
  ]).finally(() => stop.abort());
}

/** Closes the connection after the preceding bytes have reached the kernel, so that the client receives exactly those. */
async function dropAfterFlush(exchange: Exchange): Promise<void> {
  const { response } = exchange;
  await new Promise<void>((resolve) => response.write(Buffer.alloc(0), () => resolve()));
  response.socket?.destroySoon();
}

function* partsOf(bytes: Buffer, partBytes: number | undefined): Generator<Buffer> {
  const step = partBytes ?? Math.max(bytes.length, 1);
  for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
}

function flipped(part: Buffer, at: number, flips: readonly number[]): Buffer {
  const here = flips.filter((flip) => flip >= at && flip < at + part.length);
  if (here.length === 0) return part;
  const copy = Buffer.from(part);
  for (const flip of here) copy[flip - at] = (copy[flip - at] ?? 0) ^ 1;
  return copy;
}

/** Parses one byte range (RFC 9110, 14.1.2). Returns undefined if unsatisfiable. Ignores other headers, as the RFC allows. */
function parseRange(header: string, whole: Range): Range | undefined {
  const sizeBytes = whole.end;
  const match = /^bytes=(\d*)-(\d*)$/.exec(header.trim());
  if (match === null) return whole;
  const [, first = '', last = ''] = match;
  if (first === '') {
    const length = Math.min(Number(last), sizeBytes);
    return length > 0 ? { start: sizeBytes - length, end: sizeBytes } : undefined;
  }
  const start = Number(first);
  const end = last === '' ? sizeBytes : Math.min(Number(last) + 1, sizeBytes);
  return start < end ? { start, end } : undefined;
}
