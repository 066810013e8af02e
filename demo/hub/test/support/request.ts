/** Raw HTTP requests that do not follow redirects. */

import { createHash } from 'node:crypto';
import { request as httpRequest, type IncomingMessage } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** Whether the body is complete; false if the connection broke. */
  readonly complete: boolean;
}

export interface RequestOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

/** Sends one request on a new connection. Rejects if no response head arrives. */
export async function ask(url: string, options: RequestOptions = {}): Promise<Answer> {
  const response = await head(url, options);
  const parts: Buffer[] = [];
  let complete = true;
  try {
    for await (const part of response) parts.push(part as Buffer);
  } catch {
    complete = false;
  }
  return { ...headOf(response), body: Buffer.concat(parts), complete };
}

/** Reads the first `count` bytes of a stalling body, then closes the connection. */
export async function askUntil(url: string, count: number): Promise<Answer> {
  const response = await head(url, {});
  const parts: Buffer[] = [];
  let received = 0;
  for await (const part of response) {
    parts.push(part as Buffer);
    received += (part as Buffer).length;
    if (received >= count) break;
  }
  response.destroy();
  return { ...headOf(response), body: Buffer.concat(parts), complete: false };
}

function head(url: string, { method = 'GET', headers = {}, body, signal }: RequestOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method, headers, agent: false, ...(signal && { signal }) });
    request.once('response', resolve);
    request.once('error', reject);
    request.end(body);
  });
}

function headOf(response: IncomingMessage): Pick<Answer, 'status' | 'headers'> {
  return { status: response.statusCode ?? 0, headers: response.headers as Record<string, string> };
}

/** Parses the body as JSON. */
export function jsonOf(answer: Answer): unknown {
  return JSON.parse(answer.body.toString());
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function gitSha1(bytes: Uint8Array | string): string {
  return createHash('sha1')
    .update(`blob ${Buffer.byteLength(bytes)}\0`)
    .update(bytes)
    .digest('hex');
}
