/** Sends an answer whose whole text is known. */
import type { OutgoingHttpHeaders } from 'node:http';

export const JSON_TYPE = 'application/json; charset=utf-8';

/** Of HTTP/1.1 or HTTP/2. */
export interface TextResponse {
  writeHead(status: number, headers: OutgoingHttpHeaders): unknown;
  end(text: string): unknown;
}

/** Node.js leaves out the text of an answer to HEAD (RFC 9110, section 9.3.2). */
export function sendText(response: TextResponse, status: number, contentType: string, text: string): void {
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
  });
  response.end(text);
}
