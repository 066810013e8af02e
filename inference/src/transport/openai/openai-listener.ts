/** The OpenAI API on the port: its paths are routed here, everything else goes on to `next`. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { InferenceError } from '../../errors.js';
import type { Models } from '../../services/engine.js';
import type { WireError } from '../../services/errors.js';
import { methodPath, type ServedService } from '../../services/service.js';
import { type Admission, admitRequest, arrivalOf } from '../calls/admit-request.js';
import { pathOf, shownPathOf } from '../calls/request-path.js';
import { jsonAnswer, sendJson, sendText, type TextAnswer } from '../calls/send-text.js';
import type { MessageDecoder } from '../messages/message-decoder.js';
import { assertBody } from './assert-body.js';
import { DOCS_POLICY, docsPage } from './docs-page.js';
import { retryHeaders, statusOf, toOpenAiError } from './error-response.js';
import { openApiDocument } from './openapi.js';
import type { OpenAiContext, OpenAiRequest, Operation } from './operation.js';
import { OPERATIONS } from './operations.js';
import { Rpcs } from './rpcs.js';
import { sendEvents } from './send-events.js';

export interface OpenAiOptions extends Admission {
  readonly services: readonly ServedService[];
  readonly models: Models;
  readonly decoder: MessageDecoder;
  /** Time after which a caller that reads no events is disconnected. */
  readonly streamIdleMs: number;
  /** The request is a call with permits. */
  admitted(request: IncomingMessage): void;
}

export function createOpenAiListener(options: OpenAiOptions, next: RequestListener): RequestListener {
  const { services, models, decoder } = options;
  const startedAtSeconds = Math.floor(Date.now() / 1000);
  const context = { rpcs: new Rpcs(services), models, decoder, startedAtSeconds };
  const pages: Readonly<Record<string, TextAnswer>> = {
    '/openapi.json': jsonAnswer(openApiDocument(OPERATIONS)),
    '/docs': { contentType: 'text/html; charset=utf-8', text: docsPage(OPERATIONS) },
  };
  return (request, response) => {
    const path = pathOf(request);
    const page = pages[path];
    if (page === undefined && !path.startsWith('/v1/')) return next(request, response);
    const method = request.method === 'HEAD' ? 'GET' : request.method;
    if (page !== undefined && method === 'GET') {
      response.setHeader('content-security-policy', DOCS_POLICY);
      response.setHeader('x-content-type-options', 'nosniff');
      return sendText(response, 200, page);
    }
    const found = OPERATIONS.map((operation) => ({ operation, rest: matched(operation, path) })).filter(
      (one): one is { operation: Operation; rest: string } => one.rest !== undefined,
    );
    const match = found.find(({ operation }) => operation.method === method);
    if (match !== undefined) return void answer(match.operation, match.rest, request, response, options, context);
    const methods = page !== undefined ? ['GET'] : found.map(({ operation }) => operation.method);
    const allowed = methods.flatMap((one) => (one === 'GET' ? ['GET', 'HEAD'] : [one]));
    if (allowed.length > 0) response.setHeader('allow', allowed.join(', '));
    refuseUrl(options, request, response, allowed);
  };
}

/** The value of `{model}`, or '' where the path has none; undefined for another path. */
function matched({ path }: Operation, given: string): string | undefined {
  const prefix = path.replace(/\{model\}$/, '');
  if (prefix === path) return given === path ? '' : undefined;
  if (!given.startsWith(prefix) || given.length === prefix.length) return undefined;
  try {
    return decodeURIComponent(given.slice(prefix.length));
  } catch {
    return undefined;
  }
}

/** Never rejects: an error is the caller's answer. */
async function answer(
  operation: Operation,
  rest: string,
  request: IncomingMessage,
  response: ServerResponse,
  options: OpenAiOptions,
  context: OpenAiContext,
): Promise<void> {
  const call = admitRequest(options, request, response, {
    path: methodPath(operation.rpc),
    protocol: 'openai',
    skipAccessLog: false,
    streaming: false,
    envelopeBytes: 0,
    refuse: (wire, error) => sendError(response, wire, error),
  });
  if (call === undefined) return;
  options.admitted(request);
  const { open } = call;
  const exchange: OpenAiRequest = { request, call, rest };
  try {
    open.call.signal.throwIfAborted();
    assertBody(request, operation.body);
    const made = await operation.run(exchange, context);
    if ('events' in made) {
      await sendEvents(response, made.events, call, options.streamIdleMs);
      open.finish();
      response.end();
      return;
    }
    call.answer(Buffer.byteLength(made.text));
    open.finish();
    sendText(response, 200, made);
  } catch (error) {
    const wire = open.finish(error);
    // Discard the rest of the body: the answer must not wait behind it.
    if (!request.complete) request.on('error', () => {}).resume();
    if (wire === undefined) response.destroy();
    else if (response.headersSent) response.end(`data: ${JSON.stringify(toOpenAiError(wire, error))}\n\n`);
    else sendError(response, wire, error);
  }
}

function sendError(response: ServerResponse, wire: WireError, error: unknown): void {
  for (const [name, value] of Object.entries(retryHeaders(wire))) response.setHeader(name, value);
  sendJson(response, statusOf(wire, error), toOpenAiError(wire, error));
}

/** Counted and logged as one call, whatever the URL is. */
function refuseUrl(
  { callTracker }: OpenAiOptions,
  request: IncomingMessage,
  response: ServerResponse,
  allowed: readonly string[],
): void {
  const path = shownPathOf(request);
  const takes = allowed.length > 0 ? `${path} takes ${allowed.join(', ')}.` : 'GET /docs lists what there is.';
  const message = `Unknown request URL: ${request.method} ${path}. ${takes}`;
  const arrival = arrivalOf(request, response, { path: 'openai/UnknownUrl', protocol: 'openai', skipAccessLog: false });
  callTracker.refuse(arrival, new InferenceError('INVALID_ARGUMENT', message));
  const error = { message, type: 'invalid_request_error', param: null, code: 'unknown_url' };
  request.on('error', () => {}).resume();
  sendJson(response, allowed.length > 0 ? 405 : 404, { error });
}
