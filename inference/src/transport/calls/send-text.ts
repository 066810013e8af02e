/** Answers whose whole text is known. */
import type { ServerResponse } from 'node:http';

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
