/** CORS: web pages may call only from configured origins. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { cors } from '@connectrpc/connect';
import { REQUEST_ID } from '../calls/call-tracker.js';

const MAX_AGE_SECONDS = 3600;
/** In addition to those of gRPC-Web and Connect. */
const OWN_HEADERS = ['authorization', REQUEST_ID, 'x-heimdex-priority'];
/** Headers of OpenAI's browser client. */
const OPENAI_HEADERS = [
  ...['openai-beta', 'openai-organization', 'openai-project'],
  ...[
    'arch',
    'helper-method',
    'lang',
    'os',
    'package-version',
    'retry-count',
    'runtime',
    'runtime-version',
    'timeout',
  ].map((name) => `x-stainless-${name}`),
];
/** Of its responses. */
const EXPOSED_HEADERS = [REQUEST_ID, 'retry-after', 'retry-after-ms', 'x-should-retry'];

/**
 * Answers a preflight and adds headers to other responses. Returns true when the request is answered. `origins` may
 * contain `*`.
 */
export function answerCors(request: IncomingMessage, response: ServerResponse, origins: readonly string[]): boolean {
  const { origin } = request.headers;
  if (origins.length === 0 || origin === undefined) return false;
  response.setHeader('vary', 'origin');
  if (!origins.includes('*') && !origins.includes(origin)) return false;
  response.setHeader('access-control-allow-origin', origin);
  response.setHeader('access-control-expose-headers', [...cors.exposedHeaders, ...EXPOSED_HEADERS].join(', '));
  if (request.method !== 'OPTIONS' || request.headers['access-control-request-method'] === undefined) return false;
  response.writeHead(204, {
    'access-control-allow-methods': cors.allowedMethods.join(', '),
    'access-control-allow-headers': [...cors.allowedHeaders, ...OWN_HEADERS, ...OPENAI_HEADERS].join(', '),
    'access-control-max-age': String(MAX_AGE_SECONDS),
  });
  response.end();
  return true;
}
