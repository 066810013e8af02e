/** GET /: a page to try the server. Static files from memory; everything else goes on to `next`. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { pathOf } from '../calls/request-path.js';
import { isGet, refuseMethod } from '../calls/send-text.js';
import { PAGE, STYLE } from './page.js';

interface Asset {
  readonly contentType: string;
  readonly body: Buffer;
  readonly etag: string;
}

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  'img-src blob: data:',
  'media-src blob:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Compiled from inference/playground. */
const SCRIPTS = new URL('../../playground/', import.meta.url);

/** Throws if the scripts are missing: the installation is incomplete. */
export function createPlaygroundListener(next: RequestListener): RequestListener {
  const assets = new Map<string, Asset>([
    ['/', asset('text/html', Buffer.from(PAGE))],
    ['/playground/style.css', asset('text/css', Buffer.from(STYLE))],
  ]);
  for (const name of readdirSync(SCRIPTS).filter((name) => name.endsWith('.js'))) {
    assets.set(`/playground/${name}`, asset('text/javascript', readFileSync(new URL(name, SCRIPTS))));
  }
  return (request, response) => {
    const path = pathOf(request);
    const found = assets.get(path);
    if (found === undefined) return next(request, response);
    if (!isGet(request)) return refuseMethod(response, path);
    const headers = {
      etag: found.etag,
      'cache-control': 'no-cache',
      'content-security-policy': POLICY,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    };
    if (request.headers['if-none-match']?.includes(found.etag)) {
      response.writeHead(304, headers).end();
      return;
    }
    response.writeHead(200, {
      ...headers,
      'content-type': `${found.contentType}; charset=utf-8`,
      'content-length': found.body.byteLength,
    });
    response.end(found.body);
  };
}

function asset(contentType: string, body: Buffer): Asset {
  return { contentType, body, etag: `"${createHash('sha256').update(body).digest('base64url')}"` };
}
