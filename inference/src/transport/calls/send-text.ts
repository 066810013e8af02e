/** Answers whose whole text is known. */
import type { IncomingMessage, ServerResponse } from 'node:http';

export interface TextAnswer {
  readonly contentType: string;
  readonly text: string;
}

export function jsonAnswer(body: unknown): TextAnswer {
  return { contentType: 'application/json; charset=utf-8', text: `${JSON.stringify(body)}\n` };
}

/** Node.js leaves out the text of an answer to HEAD (RFC 9110, section 9.3.2). */
export function sendText(response: ServerResponse, status: number, { contentType, text }: TextAnswer): void {
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
  });
  response.end(text);
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  sendText(response, status, jsonAnswer(body));
}

export function isGet({ method }: IncomingMessage): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** Answers a request that is no GET to a path that takes nothing else. */
export function refuseMethod(response: ServerResponse, path: string): void {
  response.setHeader('allow', 'GET, HEAD');
  sendJson(response, 405, { error: `${path} takes GET.` });
}
